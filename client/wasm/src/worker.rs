//! The object that a page's worker holds: the core, its database, and the browser's clocks and
//! entropy.

use bytes::Bytes;
use tidings_client_core::{
    Client, CloseReason, CommandId, Config, Lifecycle, Transmit, TransportEvent,
};
use tidings_client_database::Database;
use tidings_model::{Monotonic, Now, Timestamp};
use wasm_bindgen::prelude::*;

use crate::{command, event};

#[wasm_bindgen]
extern "C" {
    /// Fills bytes with the browser's randomness (Web Cryptography §10.1.1).
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn get_random_values(bytes: &mut [u8]) -> Result<JsValue, JsValue>;

    /// Milliseconds of a clock that never goes back (High Resolution Time §7).
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// The client in a dedicated worker.
#[wasm_bindgen]
pub struct Worker {
    client: Client,
    database: Database,
}

#[wasm_bindgen]
impl Worker {
    /// Opens the database in the origin's private file system, and the client on it. Another worker
    /// that holds it makes this fail. `agent` is name and version of the app.
    pub async fn open(name: String, agent: String) -> Result<Worker, JsError> {
        let database = Database::open(&name, None).await?;
        let client = Client::open(Config { agent, ..Config::default() }, &database)?;
        Ok(Self { client, database })
    }

    /// Takes a command of the page's, as JSON, under a number of the page's own.
    pub fn handle_command(&mut self, id: u32, json: &str) -> Result<(), JsError> {
        let command = command::read(json).map_err(|words| JsError::new(&words))?;
        let (now, entropy) = (now(), entropy()?);
        let id = CommandId(id.into());
        self.client.handle_command(now, entropy, &self.database, id, command);
        self.commit();
        Ok(())
    }

    /// The WebSocket that was asked for is open.
    pub fn handle_opened(&mut self) -> Result<(), JsError> {
        self.handle_transport(TransportEvent::Opened)
    }

    /// A binary message arrived.
    pub fn handle_frame(&mut self, frame: Vec<u8>) -> Result<(), JsError> {
        self.handle_transport(TransportEvent::Frame(Bytes::from(frame)))
    }

    /// The WebSocket closed. The code is 1006 where there was no closing handshake (RFC 6455 §7.1.5).
    pub fn handle_closed(&mut self, code: u16, reason: String) -> Result<(), JsError> {
        let reason = match code {
            1006 => CloseReason::Unreachable("the server cannot be reached".to_owned()),
            code => CloseReason::Closed { code, reason },
        };
        self.handle_transport(TransportEvent::Closed(reason))
    }

    /// The browser went online or offline.
    pub fn handle_network(&mut self, online: bool) -> Result<(), JsError> {
        let lifecycle = if online { Lifecycle::NetworkUp } else { Lifecycle::NetworkDown };
        self.handle_lifecycle(lifecycle)
    }

    /// The page is shown or hidden.
    pub fn handle_visibility(&mut self, visible: bool) -> Result<(), JsError> {
        let lifecycle = if visible { Lifecycle::Foreground } else { Lifecycle::Background };
        self.handle_lifecycle(lifecycle)
    }

    /// The time of [`Worker::poll_timeout`] has come.
    pub fn handle_timeout(&mut self) -> Result<(), JsError> {
        let (now, entropy) = (now(), entropy()?);
        self.client.handle_timeout(now, entropy, &self.database);
        self.commit();
        Ok(())
    }

    /// The next thing for the WebSocket: a string is the URL to connect to, bytes are a message to
    /// send, `null` asks to close; `undefined`: there is nothing.
    pub fn poll_transmit(&mut self) -> JsValue {
        match self.client.poll_transmit() {
            None => JsValue::UNDEFINED,
            Some(Transmit::Connect(server)) => {
                let scheme = match server.transport() {
                    tidings_protocol_identity::Transport::Tls { .. } => "wss",
                    tidings_protocol_identity::Transport::Plain => "ws",
                };
                format!("{scheme}://{}/ws", server.authority()).into()
            }
            Some(Transmit::Frame(frame)) => js_sys::Uint8Array::from(&frame[..]).into(),
            Some(Transmit::Disconnect) => JsValue::NULL,
        }
    }

    /// The next event, as JSON.
    pub fn poll_event(&mut self) -> Option<String> {
        self.client.poll_event().map(|of| event::write(&of))
    }

    /// In how many milliseconds [`Worker::handle_timeout`] has to be called.
    pub fn poll_timeout(&self) -> Option<f64> {
        let wait = self.client.poll_timeout()?.since(now().monotonic);
        Some(wait.as_secs_f64() * 1_000.0)
    }

    fn handle_transport(&mut self, event: TransportEvent) -> Result<(), JsError> {
        let (now, entropy) = (now(), entropy()?);
        self.client.handle_transport(now, entropy, &self.database, event);
        self.commit();
        Ok(())
    }

    fn handle_lifecycle(&mut self, lifecycle: Lifecycle) -> Result<(), JsError> {
        let (now, entropy) = (now(), entropy()?);
        self.client.handle_lifecycle(now, entropy, &self.database, lifecycle);
        self.commit();
        Ok(())
    }

    fn commit(&mut self) {
        if let Some(changes) = self.client.take_changes() {
            let result = self.database.apply(&changes);
            self.client.handle_committed(&self.database, result);
        }
    }
}

fn now() -> Now {
    let span = std::time::Duration::try_from_secs_f64(performance_now() / 1_000.0);
    Now {
        monotonic: Monotonic::from_start(span.unwrap_or_default()),
        wall: Timestamp::from_millis(js_sys::Date::now() as i64),
    }
}

fn entropy() -> Result<[u8; 32], JsError> {
    let mut bytes = [0; 32];
    get_random_values(&mut bytes)
        .map_err(|_| JsError::new("this browser gives no random bytes"))?;
    Ok(bytes)
}
