//! `tidings-server run`: from the configuration to a running server, and its orderly end.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use rustls::ServerConfig;
use tidings_backend_mls::GroupObserver;
use tidings_backend_sqlite::{Options, Store};
use tidings_door_app::Service;
use tidings_protocol_identity::InviteLink;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::administrator;
use crate::clock::{Clocks, entropy};
use crate::configuration::{Configuration, Tls};
use crate::core_driver::{self, CoreHandle, Ended};
use crate::limits::READERS;
use crate::listener::{self, Door};
use crate::metrics::Metrics;
use crate::operator;
use crate::tls;

/// Runs the server to its end.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run(configuration: &Configuration) -> Result<ExitCode> {
    // As many connections as the system allows; what is configured bounds them besides.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(serve(configuration))?;
    // Connections that do not end by themselves must not keep the program.
    runtime.shutdown_background();
    Ok(code)
}

async fn serve(configuration: &Configuration) -> Result<ExitCode> {
    let clocks = Clocks::start();
    let metrics = Arc::new(Metrics::new());
    let store = Store::open(&configuration.data, Options::default())?;
    let server_secret = store.server_secret(entropy)?;
    let mut writer = store.writer().context("the store has no writer")?;
    let mut readers = (0..READERS).map(|_| store.reader()).collect::<Result<Vec<_>, _>>()?;
    let observer = GroupObserver::new(Box::new(store.reader()?));
    let identity = tls::load(configuration)?;
    let certificate_sha256 = identity.as_ref().and_then(|identity| identity.certificate_sha256);

    let bind = |what: &str, address| {
        listener::bind(address).with_context(|| format!("{what} {address} cannot be listened on"))
    };
    let listener = bind("server.listen:", configuration.listen)?;
    let metrics_listener =
        configuration.metrics_listen.map(|address| bind("metrics.listen:", address)).transpose()?;
    let port = listener.local_addr()?.port();
    let address = configuration.address(port, certificate_sha256)?;
    let first_reader = readers.first_mut().context("the store has no reader")?;
    let invite = administrator::invite(
        &configuration.data,
        first_reader,
        &mut writer,
        clocks.now(),
        &address,
    )?;

    let (core, end) = core_driver::spawn(
        core_of(configuration),
        writer,
        readers,
        observer,
        clocks,
        Arc::clone(&metrics),
    )?;
    let (new_tls, tls) = match identity {
        Some(identity) => {
            let (new_tls, tls) = watch::channel(identity.server);
            (Some(new_tls), Some(tls))
        }
        None => (None, None),
    };
    let service = Service {
        agent: format!("tidings-server/{}", env!("CARGO_PKG_VERSION")),
        invite_required: configuration.invite_required,
        invite_prefix: address.invite_prefix(),
        invite_suffix: address.invite_suffix(),
        messages_per_second: configuration.limits.messages_per_second,
        messages_burst: configuration.limits.messages_burst,
        server_secret,
    };
    let door = Door::new(configuration, core.clone(), service, &address, tls, Arc::clone(&metrics));

    announce(&listener, metrics_listener.as_ref(), invite.as_ref())?;
    if let Some(metrics_listener) = metrics_listener {
        tokio::spawn(operator::serve(metrics_listener, Arc::clone(&metrics)));
    }
    tokio::spawn(operator::probe_full_disk(configuration.data.clone(), Arc::clone(&metrics)));
    let accepting = listener::accept(listener, Arc::new(door));
    until_the_end(configuration, &core, &metrics, new_tls.as_ref(), accepting, end).await
}

fn core_of(configuration: &Configuration) -> tidings_messaging::Configuration {
    tidings_messaging::Configuration {
        limits: configuration.limits.clone(),
        invite_required: configuration.invite_required,
        everybody_invites: configuration.everybody_invites,
        retention: configuration.retention,
    }
}

/// Says where the server is, and how the first account is made.
fn announce(
    listener: &TcpListener,
    metrics: Option<&TcpListener>,
    invite: Option<&InviteLink>,
) -> Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    if let Some(metrics) = metrics {
        let address = metrics.local_addr()?;
        tracing::info!(%address, "health and metrics");
    }
    let mut output = std::io::stdout().lock();
    if let Some(link) = invite {
        writeln!(
            output,
            "There is no account yet. The first one, made with this invite link, becomes the\n\
             administrator's (good for one account and seven days):\n\n    {link}\n"
        )?;
    }
    output.flush()?;
    Ok(())
}

/// Waits for a signal or a disaster, and stops in order.
async fn until_the_end(
    configuration: &Configuration,
    core: &CoreHandle,
    metrics: &Metrics,
    new_tls: Option<&watch::Sender<Arc<ServerConfig>>>,
    accepting: impl Future<Output = ()>,
    mut end: oneshot::Receiver<Ended>,
) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    {
        let mut accepting = Box::pin(accepting);
        loop {
            tokio::select! {
                () = &mut accepting => {}
                ended = &mut end => return Ok(report(ended)),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => reload(configuration, new_tls),
            }
        }
        // The listener is closed here: whoever comes now meets a closed port.
    }
    tracing::info!("stopping");
    metrics.note_draining();
    core.stop(configuration.drain_spread);
    tokio::select! {
        ended = &mut end => Ok(report(ended)),
        _ = terminate.recv() => Err(anyhow!("stopped at once by a second signal")),
        _ = interrupt.recv() => Err(anyhow!("stopped at once by a second signal")),
    }
}

fn report(ended: Result<Ended, oneshot::error::RecvError>) -> ExitCode {
    match ended {
        Ok(Ended::Stopped) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Ok(Ended::StoreBroken(reason)) => {
            tracing::error!(
                reason,
                "what is on disk is unknown: the server stops, and recovers when it is started again"
            );
            // Nothing may be said to anybody any more, and no thread is waited for.
            std::process::exit(1);
        }
        Err(_) => {
            tracing::error!("the core has died; this is a defect of the program");
            std::process::exit(1);
        }
    }
}

/// Reads the certificate again, for new connections.
fn reload(configuration: &Configuration, new_tls: Option<&watch::Sender<Arc<ServerConfig>>>) {
    let Some(new_tls) = new_tls.filter(|_| configuration.tls == Tls::Files) else {
        tracing::info!("SIGHUP: there is no certificate to read again");
        return;
    };
    match tls::load(configuration) {
        Ok(Some(identity)) => {
            new_tls.send_replace(identity.server);
            tracing::info!("the certificate was read again");
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!("the certificate stays the one that it was: {error:#}");
        }
    }
}
