//! Stand-ins for the parts of a desktop that a bare display lacks: the tray's
//! watcher and the notification service. They answer as the specifications say
//! and keep what they were told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use zbus::{
    Connection, connection, interface,
    message::Header,
    object_server::SignalEmitter,
    zvariant::{OwnedValue, Value},
};

/// A notification as a program sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    pub title: String,
    pub body: String,
}

/// What a desktop's panel knows of the programs.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    items: Arc<Mutex<Vec<Item>>>,
    notified: Arc<Mutex<Vec<Notified>>>,
}

/// An icon in the tray: who owns it, and where.
#[derive(Clone, Debug)]
struct Item {
    owner: String,
    path: String,
}

struct Watcher(Seen);
struct Notifications(Seen);

/// A desktop with a tray and notifications, for as long as it is held.
pub struct Panel {
    bus: Connection,
    seen: Seen,
}

// === impl Watcher ===

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    async fn register_status_notifier_item(
        &self,
        service: &str,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) {
        let owner = header.sender().map(ToString::to_string).unwrap_or_default();
        // Either a path on the sender's connection, or a name with the usual path.
        let (owner, path) = match service.strip_prefix('/') {
            Some(_) => (owner, service.to_owned()),
            None => (service.to_owned(), "/StatusNotifierItem".to_owned()),
        };
        self.0.items.lock().unwrap_or_else(PoisonError::into_inner).push(Item { owner, path });
        let _ = Self::status_notifier_item_registered(&emitter, service).await;
    }

    fn register_status_notifier_host(&self, _service: &str) {}

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        let items = self.0.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.iter().map(|item| format!("{}{}", item.owner, item.path)).collect()
    }

    #[zbus(signal)]
    async fn status_notifier_item_registered(
        emitter: &SignalEmitter<'_>,
        service: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn status_notifier_host_registered(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

// === impl Notifications ===

#[interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[allow(clippy::too_many_arguments, reason = "the specification's own list")]
    fn notify(
        &self,
        _app: &str,
        _replaces: u32,
        _icon: &str,
        title: &str,
        body: &str,
        _actions: Vec<String>,
        _hints: HashMap<String, Value<'_>>,
        _timeout: i32,
    ) -> u32 {
        let mut notified = self.0.notified.lock().unwrap_or_else(PoisonError::into_inner);
        notified.push(Notified { title: title.to_owned(), body: body.to_owned() });
        u32::try_from(notified.len()).unwrap_or(u32::MAX)
    }

    fn close_notification(&self, _id: u32) {}

    fn get_capabilities(&self) -> Vec<String> {
        vec!["body".into(), "actions".into()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("panel".into(), "plimsoll".into(), "1".into(), "1.2".into())
    }
}

// === impl Panel ===

impl Panel {
    pub async fn open(bus: &str) -> Result<Self> {
        let seen = Seen::default();
        let bus = connection::Builder::address(bus)?
            .serve_at("/StatusNotifierWatcher", Watcher(seen.clone()))?
            .serve_at("/org/freedesktop/Notifications", Notifications(seen.clone()))?
            .name("org.kde.StatusNotifierWatcher")?
            .name("org.freedesktop.Notifications")?
            .build()
            .await?;
        Ok(Self { bus, seen })
    }

    pub fn notified(&self) -> Vec<Notified> {
        self.seen.notified.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn item(&self) -> Option<Item> {
        self.seen.items.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    pub fn has_icon(&self) -> bool {
        self.item().is_some()
    }

    /// The text beside the icon.
    pub async fn label(&self) -> Result<String> {
        let item = self.item().context("no icon was put into the tray")?;
        let properties = zbus::fdo::PropertiesProxy::builder(&self.bus)
            .destination(item.owner)?
            .path(item.path)?
            .build()
            .await?;
        let interface = "org.kde.StatusNotifierItem".try_into()?;
        let label = properties.get(interface, "XAyatanaLabel").await?;
        Ok(String::try_from(label)?)
    }

    /// The menu's lines, with the ids by which they are clicked.
    pub async fn menu(&self) -> Result<Vec<(i32, String)>> {
        type Layout = (u32, (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>));
        let item = self.item().context("no icon was put into the tray")?;
        let path = format!("{}/Menu", item.path);
        let reply = self
            .bus
            .call_method(
                Some(item.owner.as_str()),
                path.as_str(),
                Some("com.canonical.dbusmenu"),
                "GetLayout",
                &(0i32, -1i32, Vec::<String>::new()),
            )
            .await?;
        let (_, (_, _, children)): Layout = reply.body().deserialize()?;
        let mut lines = Vec::new();
        for child in children {
            let (id, properties, _): (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>) =
                child.try_into()?;
            let label = properties.get("label").and_then(|value| value.downcast_ref::<&str>().ok());
            if let Some(label) = label {
                // An underscore marks the key; two are one.
                lines.push((id, label.replace('_', "")));
            }
        }
        Ok(lines)
    }

    /// Clicks a line of the menu.
    pub async fn choose(&self, line: &str) -> Result<()> {
        let item = self.item().context("no icon was put into the tray")?;
        let lines = self.menu().await?;
        let id = lines.iter().find(|(_, text)| text == line).map(|(id, _)| *id);
        let id = id.with_context(|| format!("the menu has no line {line:?}: {lines:?}"))?;
        let path = format!("{}/Menu", item.path);
        self.bus
            .call_method(
                Some(item.owner.as_str()),
                path.as_str(),
                Some("com.canonical.dbusmenu"),
                "Event",
                &(id, "clicked", Value::from(0i32), 0u32),
            )
            .await?;
        Ok(())
    }
}
