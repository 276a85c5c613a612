//! Routing: which receivers get an event, by their `on` and `targets` settings.

use std::collections::BTreeMap;

use crate::clock::Notify;
use crate::config::{TargetFilter, Webhook};
use crate::domain::event::EventDraft;
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::WebhookName;

/// The receivers of a config, and the notifiers of their delivery workers.
#[derive(Debug, Default)]
pub struct Router {
    routes: Vec<Route>,
    delivery_notifiers: Vec<Notify>,
}

#[derive(Debug)]
struct Route {
    webhook: WebhookName,
    on: Vec<EventPattern>,
    targets: TargetFilter,
}

impl Router {
    /// The routes of a config.
    #[must_use]
    pub fn new(webhooks: &BTreeMap<WebhookName, Webhook>, delivery_notifiers: Vec<Notify>) -> Self {
        let routes = webhooks
            .iter()
            .map(|(name, webhook)| Route {
                webhook: name.clone(),
                on: webhook.on.clone(),
                targets: webhook.targets.clone(),
            })
            .collect();
        Self {
            routes,
            delivery_notifiers,
        }
    }

    /// The receivers of this event.
    #[must_use]
    pub fn subscribers(&self, draft: &EventDraft) -> Vec<WebhookName> {
        self.routes
            .iter()
            .filter(|route| route.matches(draft))
            .map(|route| route.webhook.clone())
            .collect()
    }

    /// Wakes the delivery workers, after events were committed.
    pub fn notify(&self) {
        for notifier in &self.delivery_notifiers {
            notifier.notify();
        }
    }
}

impl Route {
    fn matches(&self, draft: &EventDraft) -> bool {
        let of_target = match &self.targets {
            TargetFilter::All => true,
            TargetFilter::Only(names) => names.contains(&draft.target),
        };
        let r#type = draft.r#type.as_str();
        of_target && self.on.iter().any(|pattern| pattern.matches(r#type))
    }
}
