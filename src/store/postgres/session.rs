//! One connection to the server, in which everything has a time limit. Owns the async runtime: nothing outside of this folder
//! knows that there is one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, Row, SimpleQueryMessage, Statement};

use super::error::PostgresError;
use super::tls;
use super::url::{ConnectUrl, SslMode};
use crate::clock::CancelToken;

/// How long the server may take for one transaction of ours; connecting included, for the first.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The server ends a writer's session that has been silent for so long, and its locks with it: what is frozen or cut off is
/// replaced. A writer in good health says something every second.
pub(super) const SILENT_FOR: Duration = Duration::from_secs(6);

/// So long after a look what is held is surely still held. Less than [`SILENT_FOR`], so that one who comes back from being
/// frozen knows it before anybody else could have begun.
pub(super) const SURELY_HELD_FOR: Duration = Duration::from_secs(5);

/// What is left of an answer's time when the program is to stop: a server that is well needs less.
const GRACE_AT_STOP: Duration = Duration::from_millis(300);

/// How often a wait for the server looks whether the program is to stop.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Holds locks and writes.
    Writer,
    /// Reads, and holds nothing that anybody waits for.
    Reader,
    /// Reads or writes a whole state, for as long as that takes.
    Copier,
}

/// A connection. After a fault of the connection it is of no more use: see [`Session::is_sound`].
pub(super) struct Session {
    runtime: Runtime,
    client: Client,
    statements: Statements,
    /// The server's process for it.
    backend: String,
    stop: CancelToken,
    broken: bool,
}

/// Prepared once a session, by their text.
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
    /// Connects, and makes sure that the session is the program's own from end to end.
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
        let opened = runtime.block_on(within(ANSWER_WITHIN, stop, opening));
        let (client, backend) = opened.unwrap_or(Err(PostgresError::Unanswered(ANSWER_WITHIN)))?;
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
    pub(super) fn is_sound(&self) -> bool {
        !self.broken && !self.client.is_closed()
    }

    /// Whether both are served by one process of the server: then there is a pool between us that gives sessions away.
    pub(super) fn shares_backend_with(&self, other: &Self) -> bool {
        self.backend == other.backend
    }

    /// What `work` writes is committed and on disk at the end, or undone.
    pub(super) fn write<T>(
        &mut self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        self.transact(IsolationLevel::ReadCommitted, ANSWER_WITHIN, work)
    }

    /// The same for what may take its time, such as a migration.
    pub(super) fn write_within<T>(
        &mut self,
        limit: Duration,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        self.transact(IsolationLevel::ReadCommitted, limit, work)
    }

    /// What `work` reads is of one moment, however many statements it runs.
    pub(super) fn read<T>(
        &mut self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        self.transact(IsolationLevel::RepeatableRead, ANSWER_WITHIN, work)
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
            let under_way = Transaction {
                transaction,
                statements,
            };
            let outcome = work(&under_way).await?;
            under_way.transaction.commit().await?;
            Ok(outcome)
        };
        let outcome = self
            .runtime
            .block_on(within(limit, &self.stop, transaction));
        // Whether it was committed is then not known: the next session will see.
        let outcome = outcome.unwrap_or(Err(PostgresError::Unanswered(limit)));
        self.broken |= outcome
            .as_ref()
            .is_err_and(PostgresError::breaks_the_session);
        outcome
    }
}

/// What comes of a future in time. At a stop the time is nearly up.
async fn within<T>(
    limit: Duration,
    stop: &CancelToken,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let (mut left, mut stopping) = (limit, false);
    while !left.is_zero() {
        let slice = left.min(STOP_LOOK);
        if let Ok(outcome) = timeout(slice, &mut future).await {
            return Some(outcome);
        }
        left -= slice;
        if stop.is_cancelled() && !stopping {
            stopping = true;
            left = left.min(GRACE_AT_STOP);
        }
    }
    None
}

impl Transaction<'_> {
    /// The rows that a statement gives.
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

    /// The rows that a statement gives which is not likely to be asked again.
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

async fn connect(address: &ConnectUrl) -> Result<Client, PostgresError> {
    let wish = address.tls();
    let connector = tls::connector(wish).map_err(|error| PostgresError::Setup(Box::new(error)))?;
    let mut config = address.config().clone();
    let connected = match config.connect(connector.clone()).await {
        Err(error) if wish.mode == SslMode::Allow && error.as_db_error().is_some() => {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            config.connect(connector).await
        }
        connected => connected,
    };
    let (client, connection) = connected?;
    // Its end is seen at the client; nobody waits for it.
    tokio::spawn(connection);
    Ok(client)
}

/// As `SET` statements, not as start-up options, which some servers and proxies refuse.
fn settings(address: &ConnectUrl, role: Role) -> String {
    let mut settings = vec![
        format!("SET search_path = {}", address.schema()),
        // What a server-wide setting may have relaxed: a commit is on disk when we are told so.
        "SELECT set_config('synchronous_commit', 'on', false)
            WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            .to_owned(),
    ];
    if role == Role::Writer {
        let limit = SILENT_FOR.as_millis();
        let statement = ANSWER_WITHIN.as_millis();
        settings.extend([
            format!("SET idle_session_timeout = {limit}"),
            format!("SET idle_in_transaction_session_timeout = {limit}"),
            format!("SET tcp_user_timeout = {limit}"),
            format!("SET statement_timeout = {statement}"),
        ]);
    }
    settings.join(";\n")
}

/// The server's process that answers us. A simple query: a prepared one may fail in the very pool that is looked for.
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
