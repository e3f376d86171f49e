//! Every setting there is, in one table: its key in the file, its default, its meaning, and how its text
//! becomes part of the [`Configuration`].
//!
//! The table drives the reading of the file, of the environment and of the command line, and the
//! reference that `tidings-server config-reference` prints. A setting that is not here does not exist.

use std::fmt::Write as _;

use crate::configuration::{Configuration, LogFormat, Tls};
use crate::network::Network;

/// A setting.
pub(crate) struct Setting {
    /// `section.name`, as in the file.
    pub(crate) key: &'static str,
    /// The text that stands where nothing is set. Empty: nothing.
    pub(crate) default: &'static str,
    /// What it is for, in a sentence or two.
    pub(crate) meaning: &'static str,
    /// Takes its text, or says what is wrong with it, as the end of a sentence.
    pub(crate) apply: fn(&mut Configuration, &str) -> Result<(), String>,
}

impl Setting {
    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("TIDINGS_{}", self.key.to_uppercase().replace('.', "_"))
    }

    /// The flag, without its dashes.
    pub(crate) fn flag(&self) -> String {
        match self.key {
            // The one that everybody types.
            "server.data" => "data".to_owned(),
            key => key.replace(['.', '_'], "-"),
        }
    }

    /// The section that it stands in.
    pub(crate) fn section(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(section, _)| section)
    }
}

/// All settings, in the order of the reference.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "server.host",
        default: "localhost",
        meaning: "Name or address by which people reach the server. It stands in invite links and in \
                  the self-signed certificate.",
        apply: |configuration, text| set(&mut configuration.host, text.to_owned()),
    },
    Setting {
        key: "server.listen",
        default: "[::]:8443",
        meaning: "Address and port to listen on. `[::]` is every address of the machine, of both \
                  families; port 0 takes a free one.",
        apply: |configuration, text| parse(&mut configuration.listen, text, "ADDRESS:PORT"),
    },
    Setting {
        key: "server.public_port",
        default: "",
        meaning: "Port in invite links, where it is not the one that the server listens on. Behind a \
                  proxy: 443 unless set.",
        apply: |configuration, text| {
            configuration.public_port = match optional(text) {
                None => None,
                Some(text) => {
                    Some(text.parse().ok().filter(|port| *port != 0).ok_or("is not a port")?)
                }
            };
            Ok(())
        },
    },
    Setting {
        key: "server.data",
        default: "data",
        meaning: "Folder of the database and of the server's own certificate. It is made, for its \
                  owner alone, where it does not exist.",
        apply: |configuration, text| match optional(text) {
            Some(text) => set(&mut configuration.data, text.into()),
            None => Err("is empty: name a folder".to_owned()),
        },
    },
    Setting {
        key: "server.behind_proxy",
        default: "",
        meaning: "Networks of the proxies in front of the server, such as `10.0.0.1/32`. Their \
                  `X-Forwarded-For` is believed, and only with them may `tls.mode` be `off` on other \
                  addresses than loopback; everybody else is then turned away.",
        apply: |configuration, text| {
            configuration.behind_proxy = list(text)
                .map(|network| {
                    network.parse::<Network>().map_err(|_| {
                        format!("names {network:?}, which is no network such as 10.0.0.1/32")
                    })
                })
                .collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    Setting {
        key: "server.origins",
        default: "",
        meaning: "Web pages of other origins that may connect, such as `https://chat.example.org`. \
                  Those of this server always may, programs that are no browsers too.",
        apply: |configuration, text| {
            set(&mut configuration.origins, list(text).map(str::to_owned).collect())
        },
    },
    Setting {
        key: "server.drain_spread_ms",
        default: "5000",
        meaning: "Before the server stops, apps are told to reconnect after a random part of this \
                  many milliseconds.",
        apply: |configuration, text| {
            let mut millis = 0u32;
            parse(&mut millis, text, "a number of milliseconds")?;
            set(&mut configuration.drain_spread, std::time::Duration::from_millis(millis.into()))
        },
    },
    Setting {
        key: "tls.mode",
        default: "self-signed",
        meaning: "`self-signed`: a certificate of its own, made at the first start, whose SHA-256 \
                  stands in invite links. `files`: `tls.certificate` and `tls.key`. `off`: no TLS, on \
                  loopback or behind a proxy only.",
        apply: |configuration, text| {
            set(
                &mut configuration.tls,
                match text {
                    "self-signed" => Tls::SelfSigned,
                    "files" => Tls::Files,
                    "off" => Tls::Off,
                    _ => return Err("is none of self-signed, files, off".to_owned()),
                },
            )
        },
    },
    Setting {
        key: "tls.certificate",
        default: "",
        meaning: "File with the certificate and its chain, PEM. Read again at SIGHUP.",
        apply: |configuration, text| {
            set(&mut configuration.certificate, optional(text).map(Into::into))
        },
    },
    Setting {
        key: "tls.key",
        default: "",
        meaning: "File with the private key, PEM. Read again at SIGHUP.",
        apply: |configuration, text| set(&mut configuration.key, optional(text).map(Into::into)),
    },
    Setting {
        key: "accounts.sign_up",
        default: "invite",
        meaning: "Who may make an account: `invite`: who has an invite link. `open`: everybody who \
                  reaches the server.",
        apply: |configuration, text| {
            set(
                &mut configuration.invite_required,
                match text {
                    "invite" => true,
                    "open" => false,
                    _ => return Err("is neither invite nor open".to_owned()),
                },
            )
        },
    },
    Setting {
        key: "accounts.invites",
        default: "everybody",
        meaning: "Who may make invite links: `everybody` or `administrators`.",
        apply: |configuration, text| {
            set(
                &mut configuration.everybody_invites,
                match text {
                    "everybody" => true,
                    "administrators" => false,
                    _ => return Err("is neither everybody nor administrators".to_owned()),
                },
            )
        },
    },
    Setting {
        key: "retention.days",
        default: "0",
        meaning: "Days that messages and events are kept on the server; 0: for ever. Older ones are \
                  dropped a day or two after every member has them, and never before.",
        apply: |configuration, text| {
            let mut days = 0u16;
            parse(&mut days, text, "a number of days up to 65535")?;
            let span = std::time::Duration::from_secs(u64::from(days) * 24 * 60 * 60);
            set(&mut configuration.retention, (days > 0).then_some(span))
        },
    },
    Setting {
        key: "limits.messages_per_second",
        default: "20",
        meaning: "Messages and changes that one connection may send, a second on average. Above it: \
                  `RATE_LIMITED`.",
        apply: |configuration, text| positive(&mut configuration.limits.messages_per_second, text),
    },
    Setting {
        key: "limits.messages_burst",
        default: "100",
        meaning: "How many of them may come at once. Above it: `RATE_LIMITED`.",
        apply: |configuration, text| positive(&mut configuration.limits.messages_burst, text),
    },
    Setting {
        key: "limits.sign_in_failures_per_minute",
        default: "5",
        meaning: "Failed sign-ins a minute to one account from one network (IPv4 /24, IPv6 /48). Above \
                  it: `SIGN_IN_THROTTLED`.",
        apply: |configuration, text| {
            positive(&mut configuration.limits.sign_in_failures_per_minute, text)
        },
    },
    Setting {
        key: "limits.look_ups_per_minute",
        default: "30",
        meaning: "Look-ups of other people a minute, for one account. Above it: `LOOK_UPS_EXHAUSTED`.",
        apply: |configuration, text| positive(&mut configuration.limits.look_ups_per_minute, text),
    },
    Setting {
        key: "limits.look_ups_per_day",
        default: "300",
        meaning: "Look-ups of other people a day, for one account. Above it: `LOOK_UPS_EXHAUSTED`.",
        apply: |configuration, text| positive(&mut configuration.limits.look_ups_per_day, text),
    },
    Setting {
        key: "limits.claims_per_minute",
        default: "20",
        meaning: "Claims of other people's key packages a minute, for one account: each is for at most 128 \
                  people. Above it: `CLAIMS_EXHAUSTED`.",
        apply: |configuration, text| positive(&mut configuration.limits.claims_per_minute, text),
    },
    Setting {
        key: "limits.claims_per_day",
        default: "200",
        meaning: "Claims of other people's key packages a day, for one account. Above it: \
                  `CLAIMS_EXHAUSTED`.",
        apply: |configuration, text| positive(&mut configuration.limits.claims_per_day, text),
    },
    Setting {
        key: "limits.open_invites_per_account",
        default: "100",
        meaning: "Invites of one account that are neither used nor expired. Above it: \
                  `TOO_MANY_INVITES`.",
        apply: |configuration, text| {
            positive(&mut configuration.limits.open_invites_per_account, text)
        },
    },
    Setting {
        key: "limits.connections",
        default: "20000",
        meaning: "Connections at once. One more is closed at once. The system's limit of open files \
                  must be higher.",
        apply: |configuration, text| positive(&mut configuration.connections_max, text),
    },
    Setting {
        key: "limits.unfinished_handshakes",
        default: "1024",
        meaning: "Connections at once that have not become a WebSocket yet. One more is closed at once.",
        apply: |configuration, text| positive(&mut configuration.handshakes_max, text),
    },
    Setting {
        key: "log.format",
        default: "text",
        meaning: "`text` for people or `json` for programs, on standard error.",
        apply: |configuration, text| {
            set(
                &mut configuration.log_format,
                match text {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => return Err("is neither text nor json".to_owned()),
                },
            )
        },
    },
    Setting {
        key: "log.filter",
        default: "info",
        meaning: "What is logged: a level, or levels by part, such as `info,tidings_door_app=debug`. \
                  Addresses and names appear from `debug` on, content and secrets never.",
        apply: |configuration, text| {
            text.parse::<tracing_subscriber::EnvFilter>()
                .map_err(|error| format!("is no filter: {error}"))?;
            set(&mut configuration.log_filter, text.to_owned())
        },
    },
    Setting {
        key: "metrics.listen",
        default: "127.0.0.1:9464",
        meaning: "Address and port of `/health`, `/ready` and `/metrics`, without TLS. `off`: none.",
        apply: |configuration, text| {
            configuration.metrics_listen = match text {
                "off" => None,
                text => Some(text.parse().map_err(|_| "is not ADDRESS:PORT, and not off")?),
            };
            Ok(())
        },
    },
];

/// Finds a setting by its key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The known name that is most like a wrong one.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|known| strsim::damerau_levenshtein(wrong, known))
}

/// The reference of all settings, as a table in Markdown.
pub(crate) fn reference() -> String {
    let mut table =
        String::from("| file | environment | flag | default | meaning |\n|---|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", setting.default)
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | `{}` | `--{}` | {default} | {} |",
            setting.key,
            setting.variable(),
            setting.flag(),
            setting.meaning,
        );
    }
    table
}

#[allow(clippy::unnecessary_wraps)]
fn set<T>(place: &mut T, value: T) -> Result<(), String> {
    *place = value;
    Ok(())
}

fn parse<T: std::str::FromStr>(place: &mut T, text: &str, what: &str) -> Result<(), String> {
    *place = text.parse().map_err(|_| format!("is not {what}"))?;
    Ok(())
}

fn positive(place: &mut u32, text: &str) -> Result<(), String> {
    let number =
        text.parse().ok().filter(|number| *number > 0).ok_or("is not a whole number above 0")?;
    set(place, number)
}

fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The elements of a list, as the environment and flags write it: with commas.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_names_every_setting_in_all_its_places() {
        let reference = reference();
        assert!(reference.contains(
            "| `limits.messages_per_second` | `TIDINGS_LIMITS_MESSAGES_PER_SECOND` | \
             `--limits-messages-per-second` | `20` |"
        ));
        assert_eq!(reference.lines().count(), SETTINGS.len() + 2);
    }

    #[test]
    fn operators_page_holds_the_reference_as_it_is_printed() {
        let page = include_str!("../../docs/server.md");
        assert!(page.contains(&reference()), "print it with `tidings-server config-reference`");
    }

    #[test]
    fn every_default_is_a_valid_value() {
        for setting in SETTINGS {
            let applied = (setting.apply)(&mut Configuration::unset(), setting.default);
            assert_eq!(applied, Ok(()), "{}", setting.key);
        }
    }

    #[test]
    fn limits_of_the_core_have_its_own_defaults() {
        assert_eq!(Configuration::default().limits, tidings_messaging::limits::Limits::default());
    }
}
