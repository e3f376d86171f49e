//! The devices of the account: which there are, which read sealed conversations, and how one is put out.

use tidings_client_core::{Command, Device, Listing, Outcome};

use crate::arguments::DevicesAct;
use crate::failure::{Exit, Failure};
use crate::naming::{self, Candidate, DEVICE, ID_SHOWN};
use crate::record::{DONE, DeviceRecord};
use crate::session::Session;
use crate::{visible, when};

/// Columns of a device's name in the list.
const NAME_COLUMNS: usize = 20;

pub(super) async fn devices(
    session: &mut Session,
    act: Option<DevicesAct>,
) -> Result<Exit, Failure> {
    session.connect().await?;
    // The list of devices is marked by the device list, which comes with the connection.
    session.known_listing().await?;
    let devices = all(session).await?;
    match act {
        None => list(session, &devices),
        Some(DevicesAct::Revoke { id }) => revoke(session, devices, &id).await,
    }
}

/// All devices of the account, as the server lists them.
pub(super) async fn all(session: &mut Session) -> Result<Vec<Device>, Failure> {
    match session.ask_server(Command::ListDevices).await? {
        Outcome::Devices(devices) => Ok(devices),
        _ => Err(tidings_client_native::ClientGone.into()),
    }
}

/// Devices as they are named on the command line.
pub(super) fn candidates(devices: Vec<Device>) -> Vec<Candidate<Device>> {
    let candidate = |device: Device| Candidate {
        id: device.device.to_string(),
        names: vec![device.name.clone()],
        description: device.name.clone(),
        item: device,
    };
    devices.into_iter().map(candidate).collect()
}

fn list(session: &Session, devices: &[Device]) -> Result<Exit, Failure> {
    let (output, now) = (&session.output, when::now());
    for device in devices {
        let id = device.device.to_string();
        let line = format!(
            "{}  {}  {:<10}  last seen {}{}",
            naming::short(&id, ID_SHOWN),
            visible::pad(
                &visible::cut(&visible::one_line(&device.name), NAME_COLUMNS),
                NAME_COLUMNS
            ),
            if device.is_listed { "linked" } else { "not linked" },
            output.clock.short(device.last_seen, now),
            if device.this_device { "  this device" } else { "" },
        );
        output.people([line])?;
        output.programs(&DeviceRecord::from(device))?;
    }
    let is_waiting = |device: &&Device| !device.is_listed && !device.this_device;
    if session.mirror.listing == Listing::Listed && devices.iter().any(|device| is_waiting(&device))
    {
        output.note(
            "Who is not linked reads no sealed conversation. `tidings link CODE` links a device of yours, \
             `tidings devices revoke` signs out one that is not",
        );
    }
    Ok(Exit::Done)
}

async fn revoke(
    session: &mut Session,
    devices: Vec<Device>,
    wanted: &str,
) -> Result<Exit, Failure> {
    let device = naming::resolve(DEVICE, wanted, candidates(devices))?;
    session.ask_server(Command::RevokeDevice { device: device.device }).await?;
    let words = match device.is_listed {
        true => {
            "signed out: it reads nothing that is said from now on. What it has read stays on it"
        }
        false => "signed out",
    };
    session.output.people([words])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}
