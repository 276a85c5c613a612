//! Who is owed what: the webhooks' wishes, held against an event.

use std::collections::BTreeMap;

use crate::clock::Notify;
use crate::config::{TargetFilter, Webhook};
use crate::domain::event::EventDraft;
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::WebhookName;

/// What every webhook wants, and the bells of those who deliver.
#[derive(Debug, Default)]
pub struct Router {
    routes: Vec<Route>,
    bells: Vec<Notify>,
}

#[derive(Debug)]
struct Route {
    webhook: WebhookName,
    on: Vec<EventPattern>,
    targets: TargetFilter,
}

impl Router {
    /// The routes of a config; `bells` are rung when something is owed.
    #[must_use]
    pub fn new(webhooks: &BTreeMap<WebhookName, Webhook>, bells: Vec<Notify>) -> Self {
        let routes = webhooks
            .iter()
            .map(|(name, webhook)| Route {
                webhook: name.clone(),
                on: webhook.on.clone(),
                targets: webhook.targets.clone(),
            })
            .collect();
        Self { routes, bells }
    }

    /// The webhooks that want this event.
    #[must_use]
    pub fn subscribers(&self, draft: &EventDraft) -> Vec<WebhookName> {
        self.routes
            .iter()
            .filter(|route| route.wants(draft))
            .map(|route| route.webhook.clone())
            .collect()
    }

    /// Says that there may be something to deliver.
    pub fn notify(&self) {
        for bell in &self.bells {
            bell.notify();
        }
    }
}

impl Route {
    fn wants(&self, draft: &EventDraft) -> bool {
        let of_target = match &self.targets {
            TargetFilter::All => true,
            TargetFilter::Only(names) => names.contains(&draft.target),
        };
        of_target
            && self
                .on
                .iter()
                .any(|pattern| pattern.matches(draft.r#type.as_str()))
    }
}
