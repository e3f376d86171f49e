//! What an operator has chosen: the file, then the environment, then flags; the later one wins.
//!
//! Every key that is not known is an error that names the one it may have been meant for: a setting that
//! is silently not in force is worse than a server that does not start.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use tidings_messaging::limits::Limits;
use tidings_protocol_identity::{InviteLinkError, ServerAddress, Transport};

use crate::network::Network;
use crate::settings::{self, SETTINGS};

/// Port in the invite links of a server behind a proxy: that of `https://`.
const PROXY_PORT: u16 = 443;

/// The settings in force. See the table in [`settings`] for their meanings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) host: String,
    pub(crate) listen: SocketAddr,
    pub(crate) public_port: Option<u16>,
    pub(crate) data: PathBuf,
    pub(crate) behind_proxy: Vec<Network>,
    pub(crate) origins: Vec<String>,
    pub(crate) drain_spread: Duration,
    pub(crate) tls: Tls,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) invite_required: bool,
    pub(crate) everybody_invites: bool,
    pub(crate) retention: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) connections_max: u32,
    pub(crate) handshakes_max: u32,
    pub(crate) log_format: LogFormat,
    pub(crate) log_filter: String,
    pub(crate) metrics_listen: Option<SocketAddr>,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// The server's own, made at the first start.
    SelfSigned,
    /// Two files.
    Files,
    /// No TLS.
    Off,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    /// The file is no TOML.
    #[error("the configuration {} is not valid TOML: {source}", file.display())]
    Toml { file: PathBuf, source: Box<toml::de::Error> },
    /// A key that does not exist.
    #[error("{place}: there is no setting {key}. Did you mean {nearest}?")]
    UnknownKey { place: String, key: String, nearest: String },
    /// A value of a kind that no setting has.
    #[error("{place}: the setting {key} holds a value that is no text, number or list of texts")]
    Kind { place: String, key: String },
    /// A value that the setting cannot have.
    #[error("{place}: the setting {key} {problem}")]
    Value { place: String, key: &'static str, problem: String },
    /// A variable whose text is no Unicode.
    #[error("the environment variable {0} is not Unicode text")]
    NotUnicode(String),
    /// Settings that do not go together.
    #[error("{0}")]
    Conflict(String),
}

impl Configuration {
    /// A place to put settings in, before any is set.
    pub(crate) fn unset() -> Self {
        Self {
            host: String::new(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            public_port: None,
            data: PathBuf::new(),
            behind_proxy: Vec::new(),
            origins: Vec::new(),
            drain_spread: Duration::ZERO,
            tls: Tls::SelfSigned,
            certificate: None,
            key: None,
            invite_required: true,
            everybody_invites: true,
            retention: None,
            limits: Limits::default(),
            connections_max: 0,
            handshakes_max: 0,
            log_format: LogFormat::Text,
            log_filter: String::new(),
            metrics_listen: None,
        }
    }

    /// Reads the file, the environment and the flags.
    ///
    /// # Errors
    /// See [`ConfigurationError`].
    pub(crate) fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        flags: &ArgMatches,
    ) -> Result<Self, ConfigurationError> {
        let mut configuration = Self::default();
        if let Some(file) = file {
            let unreadable =
                |source| ConfigurationError::Unreadable { file: file.to_owned(), source };
            let text = std::fs::read_to_string(file).map_err(unreadable)?;
            configuration.apply_file(file, &text)?;
        }
        configuration.apply_environment(environment)?;
        configuration.apply_flags(flags)?;
        configuration.check()?;
        Ok(configuration)
    }

    fn apply_file(&mut self, file: &Path, text: &str) -> Result<(), ConfigurationError> {
        let table: toml::Table = text.parse().map_err(|source| ConfigurationError::Toml {
            file: file.to_owned(),
            source: Box::new(source),
        })?;
        let place = file.display().to_string();
        for (section, values) in table {
            let toml::Value::Table(values) = values else {
                return Err(unknown(place, section));
            };
            for (name, value) in values {
                let key = format!("{section}.{name}");
                let text = text_of(&value).ok_or_else(|| ConfigurationError::Kind {
                    place: place.clone(),
                    key: key.clone(),
                })?;
                self.apply(&place, &key, &text)?;
            }
        }
        Ok(())
    }

    fn apply_environment(
        &mut self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigurationError> {
        for (variable, text) in environment {
            let Some(variable) = variable.to_str() else { continue };
            // The terminal program has variables of its own that begin with TIDINGS_.
            let is_ours = SETTINGS.iter().any(|setting| {
                variable.starts_with(&format!("TIDINGS_{}_", setting.section().to_uppercase()))
            });
            if !is_ours {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == variable)
            else {
                let known: Vec<_> = SETTINGS.iter().map(settings::Setting::variable).collect();
                let nearest = settings::nearest(variable, known.iter().map(String::as_str));
                return Err(ConfigurationError::UnknownKey {
                    place: "the environment".to_owned(),
                    key: variable.to_owned(),
                    nearest: nearest.unwrap_or_default().to_owned(),
                });
            };
            let text = text
                .into_string()
                .map_err(|_| ConfigurationError::NotUnicode(variable.to_owned()))?;
            self.apply(&format!("the environment variable {variable}"), setting.key, &text)?;
        }
        Ok(())
    }

    fn apply_flags(&mut self, flags: &ArgMatches) -> Result<(), ConfigurationError> {
        for setting in SETTINGS {
            if let Some(text) = flags.get_one::<String>(setting.key) {
                self.apply(&format!("--{}", setting.flag()), setting.key, text)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, place: &str, key: &str, text: &str) -> Result<(), ConfigurationError> {
        let setting =
            settings::find(key).ok_or_else(|| unknown(place.to_owned(), key.to_owned()))?;
        (setting.apply)(self, text).map_err(|problem| ConfigurationError::Value {
            place: place.to_owned(),
            key: setting.key,
            problem,
        })
    }

    /// Looks for settings that do not go together.
    fn check(&self) -> Result<(), ConfigurationError> {
        let conflict = |what: &str| Err(ConfigurationError::Conflict(what.to_owned()));
        if self.tls == Tls::Files && (self.certificate.is_none() || self.key.is_none()) {
            return conflict("tls.mode is files: set tls.certificate and tls.key to their paths");
        }
        if self.tls != Tls::Files && (self.certificate.is_some() || self.key.is_some()) {
            return conflict("tls.certificate and tls.key need tls.mode = \"files\"");
        }
        if self.tls == Tls::Off
            && self.behind_proxy.is_empty()
            && !self.listen.ip().to_canonical().is_loopback()
        {
            return conflict(
                "tls.mode is off: listen on loopback (server.listen = \"127.0.0.1:8443\"), or name \
                 the proxy that ends TLS in server.behind_proxy",
            );
        }
        // Every link that will be written has a valid host, then.
        self.address(1, None).map(drop).map_err(|error| {
            ConfigurationError::Conflict(match error {
                InviteLinkError::PlainHost => "tls.mode is off without a proxy: people on other \
                    machines cannot come in, so set server.host to localhost"
                    .to_owned(),
                _ => format!(
                    "server.host is {:?}, which is neither a host name nor an address",
                    self.host
                ),
            })
        })
    }

    /// How people reach the server, for invite links. `certificate_sha256`: of a certificate that no
    /// authority vouches for.
    ///
    /// # Errors
    /// The host is none; [`Configuration::read`] has checked that.
    pub(crate) fn address(
        &self,
        bound_port: u16,
        certificate_sha256: Option<[u8; 32]>,
    ) -> Result<ServerAddress, InviteLinkError> {
        let transport = match self.tls {
            Tls::SelfSigned | Tls::Files => Transport::Tls { certificate_sha256 },
            Tls::Off if self.behind_proxy.is_empty() => Transport::Plain,
            Tls::Off => Transport::Tls { certificate_sha256: None },
        };
        let port = match self.public_port {
            Some(port) => port,
            None if self.behind_proxy.is_empty() => bound_port,
            None => PROXY_PORT,
        };
        ServerAddress::new(&self.host, port, transport)
    }
}

impl Default for Configuration {
    fn default() -> Self {
        let mut configuration = Self::unset();
        for setting in SETTINGS {
            let applied = (setting.apply)(&mut configuration, setting.default);
            debug_assert_eq!(applied, Ok(()), "the default of {}", setting.key);
        }
        configuration
    }
}

fn unknown(place: String, key: String) -> ConfigurationError {
    let known = SETTINGS.iter().map(|setting| setting.key);
    let nearest = settings::nearest(&key, known).unwrap_or_default().to_owned();
    ConfigurationError::UnknownKey { place, key, nearest }
}

/// The text of a value, as the environment would write it.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(elements) => {
            let elements: Option<Vec<_>> = elements.iter().map(toml::Value::as_str).collect();
            Some(elements?.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments;

    fn read(
        file: &str,
        variables: &[(&str, &str)],
        flags: &[&str],
    ) -> Result<Configuration, String> {
        let mut configuration = Configuration::default();
        let all = || {
            configuration.apply_file(Path::new("tidings.toml"), file)?;
            let variables = variables.iter().map(|(name, text)| ((*name).into(), (*text).into()));
            configuration.apply_environment(variables)?;
            let matches = arguments::command()
                .try_get_matches_from([&["tidings-server", "run"], flags].concat())
                .expect("valid flags");
            let (_, run) = matches.subcommand().expect("a subcommand");
            configuration.apply_flags(run)?;
            configuration.check()?;
            Ok(configuration)
        };
        let read = || -> Result<Configuration, ConfigurationError> { all() };
        read().map_err(|error| error.to_string())
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = "[server]\nhost = \"file.example\"\nlisten = \"127.0.0.1:1\"\n\
                    [limits]\nmessages_burst = 7\n";
        let variables = [
            ("TIDINGS_SERVER_HOST", "environment.example"),
            ("TIDINGS_LIMITS_MESSAGES_BURST", "8"),
        ];
        let read =
            read(file, &variables, &["--limits-messages-burst", "9", "--data", "d"]).unwrap();
        assert_eq!(read.host, "environment.example");
        assert_eq!(read.listen.port(), 1);
        assert_eq!(read.limits.messages_burst, 9);
        assert_eq!(read.data, Path::new("d"));
    }

    #[test]
    fn unknown_key_names_the_nearest_known_one() {
        assert_eq!(
            read("[server]\nlissten = \"x\"\n", &[], &[]).unwrap_err(),
            "tidings.toml: there is no setting server.lissten. Did you mean server.listen?"
        );
        assert_eq!(
            read("", &[("TIDINGS_LIMITS_MESSAGE_BURST", "1")], &[]).unwrap_err(),
            "the environment: there is no setting TIDINGS_LIMITS_MESSAGE_BURST. Did you mean \
             TIDINGS_LIMITS_MESSAGES_BURST?"
        );
    }

    #[test]
    fn variables_of_the_terminal_program_are_left_alone() {
        assert!(read("", &[("TIDINGS_DATA", "x"), ("TIDINGS_PASSWORD", "x")], &[]).is_ok());
    }

    #[test]
    fn wrong_value_names_place_key_and_what_is_wrong() {
        for (file, error) in [
            (
                "[limits]\nmessages_burst = 0\n",
                "tidings.toml: the setting limits.messages_burst is not a whole number above 0",
            ),
            (
                "[accounts]\nsign_up = \"maybe\"\n",
                "tidings.toml: the setting accounts.sign_up is neither invite nor open",
            ),
            (
                "[server]\nbehind_proxy = [\"10.0.0.1/99\"]\n",
                "tidings.toml: the setting server.behind_proxy names \"10.0.0.1/99\", which is no \
                 network such as 10.0.0.1/32",
            ),
            (
                "[server]\nhost = 1.5\n",
                "tidings.toml: the setting server.host holds a value that is no text, number or list \
                 of texts",
            ),
        ] {
            assert_eq!(read(file, &[], &[]).unwrap_err(), error);
        }
    }

    #[test]
    fn plain_is_for_loopback_and_named_proxies_only() {
        let off = "[tls]\nmode = \"off\"\n";
        assert!(read(off, &[], &[]).unwrap_err().contains("server.behind_proxy"));
        assert!(read(off, &[], &["--server-listen", "127.0.0.1:0"]).is_ok());
        assert!(read(off, &[], &["--server-listen", "[::1]:0"]).is_ok());
        assert!(read(off, &[], &["--server-behind-proxy", "10.0.0.1/32"]).is_ok());
        let elsewhere = ["--server-listen", "127.0.0.1:0", "--server-host", "example.org"];
        assert!(read(off, &[], &elsewhere).unwrap_err().contains("set server.host to localhost"));
    }

    #[test]
    fn certificate_files_go_with_their_mode_only() {
        assert!(
            read("[tls]\nmode = \"files\"\n", &[], &[]).unwrap_err().contains("tls.certificate")
        );
        assert!(read("[tls]\nkey = \"k.pem\"\n", &[], &[]).unwrap_err().contains("tls.mode"));
    }

    #[test]
    fn links_lead_to_the_proxy_where_there_is_one() {
        let own = Configuration::default().address(8443, Some([1; 32])).unwrap();
        assert_eq!(own.authority(), "localhost:8443");
        let proxied =
            read("[tls]\nmode = \"off\"\n", &[], &["--server-behind-proxy", "10.0.0.0/8"]);
        let address = proxied.unwrap().address(8080, None).unwrap();
        assert_eq!(address.invite_prefix(), "https://localhost:443/#invite=");
    }
}
