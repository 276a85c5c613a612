//! Sessions with the server: transactions with a time limit, and reconnecting. Each session has a single-threaded async
//! runtime of its own; code outside this folder is blocking.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, Row, SimpleQueryMessage, Statement};

use super::error::PostgresError;
use super::tls;
use super::url::{ConnectUrl, SslMode};
use crate::clock::{CancelToken, Clock};

/// How long one transaction may take, and connecting.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The server ends a writer's session, and with it its locks, after this long without a statement: another instance takes over
/// from one that is frozen or cut off. A healthy writer sends a statement every second.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long after a renewal the leases are certainly still valid. Less than [`SESSION_TIMEOUT`], so that an instance that was
/// frozen notices before another instance can have taken over.
pub(super) const LEASE_VALID_FOR: Duration = Duration::from_secs(5);

/// How long a transaction under way may still take at a stop. A healthy server needs less.
const STOP_GRACE: Duration = Duration::from_millis(300);

/// How often a wait for the server checks for a stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Shortest time between two attempts to connect.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Owns locks and writes.
    Writer,
    /// Reads, and owns no locks.
    Reader,
    /// Reads or writes a whole state, for as long as that takes.
    Transfer,
}

/// A connection. After a connection error it can't be used any more: see [`Session::is_usable`].
pub(super) struct Session {
    runtime: Runtime,
    client: Client,
    statements: Statements,
    /// The server process that serves it.
    backend: String,
    stop: CancelToken,
    broken: bool,
}

/// Prepared statements of a session, by their text.
#[derive(Default)]
struct Statements(RefCell<HashMap<&'static str, Statement>>);

/// A transaction under way.
pub(super) struct Transaction<'a> {
    transaction: tokio_postgres::Transaction<'a>,
    statements: &'a Statements,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Connects.
    pub(super) fn open(
        address: &ConnectUrl,
        role: Role,
        stop: &CancelToken,
    ) -> Result<Self, PostgresError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                PostgresError::Refused(format!("no runtime for its client: {error}"))
            })?;
        let opening = async {
            let client = connect(address).await?;
            client.batch_execute(&settings(address, role)).await?;
            let backend = backend(&client).await?;
            Ok::<_, PostgresError>((client, backend))
        };
        let opened = runtime.block_on(within(STATEMENT_TIMEOUT, stop, opening));
        let (client, backend) = opened.unwrap_or(Err(PostgresError::Timeout(STATEMENT_TIMEOUT)))?;
        Ok(Self {
            runtime,
            client,
            statements: Statements::default(),
            backend,
            stop: stop.clone(),
            broken: false,
        })
    }

    /// Whether it can still be used, as far as is known.
    pub(super) fn is_usable(&self) -> bool {
        !self.broken && !self.client.is_closed()
    }

    /// Whether one server process serves both sessions: then a pool between us shares sessions.
    pub(super) fn shares_backend_with(&self, other: &Self) -> bool {
        self.backend == other.backend
    }

    /// Runs `work` in one transaction. When this returns `Ok`, its writes are committed and on disk.
    pub(super) fn write<T>(
        &mut self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        self.transact(IsolationLevel::ReadCommitted, STATEMENT_TIMEOUT, work)
    }

    /// The same with another time limit, for migrations and transfers.
    pub(super) fn write_within<T>(
        &mut self,
        limit: Duration,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        self.transact(IsolationLevel::ReadCommitted, limit, work)
    }

    /// Runs `work` in one transaction whose statements all see the same moment.
    pub(super) fn read<T>(
        &mut self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        self.transact(IsolationLevel::RepeatableRead, STATEMENT_TIMEOUT, work)
    }

    fn transact<T>(
        &mut self,
        isolation: IsolationLevel,
        limit: Duration,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        let (client, statements) = (&mut self.client, &self.statements);
        let transaction = async {
            let transaction = client
                .build_transaction()
                .isolation_level(isolation)
                .start()
                .await?;
            let running = Transaction {
                transaction,
                statements,
            };
            let outcome = work(&running).await?;
            running.transaction.commit().await?;
            Ok(outcome)
        };
        let outcome = self
            .runtime
            .block_on(within(limit, &self.stop, transaction));
        // After a timeout it is unknown whether the commit happened: the next session reads what is there.
        let outcome = outcome.unwrap_or(Err(PostgresError::Timeout(limit)));
        self.broken |= outcome
            .as_ref()
            .is_err_and(PostgresError::breaks_the_session);
        outcome
    }
}

/// Waits for a future. `None` after `limit`, or soon after a stop.
async fn within<T>(
    limit: Duration,
    stop: &CancelToken,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let (mut left, mut stopping) = (limit, false);
    while !left.is_zero() {
        let slice = left.min(STOP_CHECK_INTERVAL);
        if let Ok(outcome) = timeout(slice, &mut future).await {
            return Some(outcome);
        }
        left -= slice;
        if stop.is_cancelled() && !stopping {
            stopping = true;
            left = left.min(STOP_GRACE);
        }
    }
    None
}

impl Transaction<'_> {
    /// The rows of a statement that is prepared once per session.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PostgresError> {
        let statement = self.statement(sql).await?;
        Ok(self.transaction.query(&statement, parameters).await?)
    }

    /// Its first row, if there is one.
    pub(super) async fn query_first(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, PostgresError> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// The rows of a statement that is unlikely to be used again.
    pub(super) async fn query_once(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PostgresError> {
        Ok(self.transaction.query(sql, parameters).await?)
    }

    /// How many rows a statement wrote.
    pub(super) async fn execute(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, PostgresError> {
        let statement = self.statement(sql).await?;
        Ok(self.transaction.execute(&statement, parameters).await?)
    }

    /// Several statements without parameters.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), PostgresError> {
        Ok(self.transaction.batch_execute(sql).await?)
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, PostgresError> {
        if let Some(statement) = self.statements.0.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.transaction.prepare(sql).await?;
        self.statements
            .0
            .borrow_mut()
            .insert(sql, statement.clone());
        Ok(statement)
    }
}

/// A session that is opened again after it broke, at most once per [`RECONNECT_INTERVAL`].
#[derive(Debug)]
pub(super) struct Reconnect {
    address: ConnectUrl,
    role: Role,
    clock: Arc<dyn Clock>,
    stop: CancelToken,
    session: Option<Session>,
    again_at: Duration,
    is_over: bool,
}

impl Reconnect {
    pub(super) fn new(
        address: &ConnectUrl,
        role: Role,
        clock: &Arc<dyn Clock>,
        stop: &CancelToken,
    ) -> Self {
        Self {
            address: address.clone(),
            role,
            clock: Arc::clone(clock),
            stop: stop.clone(),
            session: None,
            again_at: Duration::ZERO,
            is_over: false,
        }
    }

    /// The session, if it can be used.
    pub(super) fn usable(&mut self) -> Result<&mut Session, PostgresError> {
        let session = self.session.as_mut();
        session
            .filter(|it| it.is_usable())
            .ok_or(PostgresError::NotConnected)
    }

    /// A usable session. A new one is first passed to `begin`; if that fails, it is dropped.
    pub(super) fn renewed(
        &mut self,
        begin: impl FnOnce(&mut Session) -> Result<(), PostgresError>,
    ) -> Result<&mut Session, PostgresError> {
        if self.usable().is_err() {
            self.session = None;
            let now = self.clock.monotonic();
            if self.is_over || now < self.again_at {
                return Err(PostgresError::NotConnected);
            }
            self.again_at = now.saturating_add(RECONNECT_INTERVAL);
            let mut session = Session::open(&self.address, self.role, &self.stop)?;
            begin(&mut session)?;
            self.session = Some(session);
        }
        self.usable()
    }

    /// Drops the session. The next [`Reconnect::renewed`] opens another one.
    pub(super) fn close(&mut self) {
        self.session = None;
    }

    /// Drops the session for good.
    pub(super) fn end(&mut self) {
        self.close();
        self.is_over = true;
    }
}

async fn connect(address: &ConnectUrl) -> Result<Client, PostgresError> {
    let wish = address.tls();
    let connector = tls::connector(wish).map_err(|error| PostgresError::Tls(Box::new(error)))?;
    let mut config = address.config().clone();
    let connected = match config.connect(connector.clone()).await {
        Err(error) if wish.mode == SslMode::Allow && error.as_db_error().is_some() => {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            config.connect(connector).await
        }
        connected => connected,
    };
    let (client, connection) = connected?;
    // The client notices when the connection ends; nothing waits for this task.
    tokio::spawn(connection);
    Ok(client)
}

/// `SET` statements, not start-up options, which some servers and proxies refuse.
fn settings(address: &ConnectUrl, role: Role) -> String {
    let mut settings = vec![
        format!("SET search_path = {}", address.schema()),
        // A server-wide setting may have relaxed this: a commit must be on disk when it returns.
        "SELECT set_config('synchronous_commit', 'on', false)
            WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            .to_owned(),
    ];
    if role == Role::Writer {
        let limit = SESSION_TIMEOUT.as_millis();
        let statement = STATEMENT_TIMEOUT.as_millis();
        settings.extend([
            format!("SET idle_session_timeout = {limit}"),
            format!("SET idle_in_transaction_session_timeout = {limit}"),
            format!("SET tcp_user_timeout = {limit}"),
            format!("SET statement_timeout = {statement}"),
        ]);
    }
    settings.join(";\n")
}

/// The server process that serves us. A simple query, because a prepared one may fail behind the kind of pool that this looks
/// for.
async fn backend(client: &Client) -> Result<String, PostgresError> {
    let answer = client.simple_query("SELECT pg_backend_pid()").await?;
    let pid = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    pid.ok_or_else(|| {
        PostgresError::Refused("the server does not say which process it is".to_owned())
    })
}
