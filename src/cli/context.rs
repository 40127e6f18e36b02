//! What every command is handed: the home folder, the registries, the terminal and the time.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use super::arguments::Global;
use super::failure::{Failure, Plain};
use super::terminal::Terminal;
use crate::net::{Client, NetOptions, Network, Proxies};
use crate::progress::Progress;
use crate::registry::tuf::Clock;
use crate::registry::{POLICY_NAME, Policies, Selection, Sources};
use crate::store::{Home, Settings};

/// The settings of this run, resolved from flags and environment.
pub(super) struct Context {
    /// The home folder.
    pub(super) home: Home,
    /// The registries that the command line or the environment names.
    named: Vec<String>,
    /// Whether the network may be used.
    pub(super) offline: bool,
    /// Whether questions are answered with yes.
    pub(super) yes: bool,
    /// Whether stdout is one JSON document.
    pub(super) json: bool,
    /// When this run began.
    pub(super) now: jiff::Timestamp,
    /// Until when metadata that has expired is accepted.
    stale_until: Option<jiff::Timestamp>,
    terminal: Terminal,
}

impl Context {
    pub(super) fn new(global: Global) -> Result<Self, Failure> {
        let root = match global.home {
            Some(root) => {
                std::path::absolute(&root).map_err(crate::fs::Error::at("find", &root))?
            }
            None => etcetera::choose_base_strategy()
                .map_err(|_| Plain {
                    kind: "no-home",
                    message: "there is no home folder on this machine".to_owned(),
                    hint: Some("name a folder with --home DIR or $MPKG_HOME".to_owned()),
                })?
                .data_dir()
                .join("mpkg"),
        };
        super::terminal::start_log(global.verbose);
        let home = Home::at(root);
        let mut shared = Settings::read(&home)?.shared;
        // An empty $MPKG_SHARED_STORE names none, whatever store.toml says.
        if !global.shared_store.is_empty() {
            let named = global.shared_store.iter().filter(|one| !one.as_os_str().is_empty());
            let absolute = |path: &PathBuf| {
                std::path::absolute(path).map_err(crate::fs::Error::at("find", path))
            };
            shared = named.map(absolute).collect::<Result<_, _>>()?;
        }
        Ok(Self {
            home: home.sharing(shared),
            // An empty $MPKG_REGISTRY names none.
            named: global.registry.into_iter().filter(|one| !one.is_empty()).collect(),
            offline: global.offline,
            yes: global.yes,
            json: global.json,
            now: jiff::Timestamp::now(),
            stale_until: global.accept_stale_until,
            terminal: Terminal::new(global.quiet, global.no_progress),
        })
    }

    /// The time of this run, and what it makes of metadata that has expired.
    pub(super) fn clock(&self) -> Clock {
        Clock { now: self.now, stale_until: self.stale_until }
    }

    /// The registries that are asked: those that are named, or else those that are configured.
    pub(super) fn registries(&self) -> Result<Selection, Failure> {
        self.selected(&self.named)
    }

    /// The one registry that `text` names.
    pub(super) fn registry(&self, text: &str) -> Result<Selection, Failure> {
        self.selected(&[text.to_owned()])
    }

    fn selected(&self, named: &[String]) -> Result<Selection, Failure> {
        let sources = Sources::read(self.home.root())?;
        sources.demand_known(named)?;
        Ok(sources.select(named, self.clock()))
    }

    /// The time that an operator's signatures count from: `$SOURCE_DATE_EPOCH` where it is set, so
    /// that a registry can be made the same again.
    #[expect(clippy::disallowed_methods, reason = "cli is where the environment is read")]
    pub(super) fn operator_time(&self) -> Result<jiff::Timestamp, Failure> {
        let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else { return Ok(self.now) };
        let seconds = text.parse::<i64>().ok();
        let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        time.ok_or_else(|| {
            Plain {
                kind: "bad-time",
                message: "$SOURCE_DATE_EPOCH is no number of seconds".to_owned(),
                hint: None,
            }
            .into()
        })
    }

    /// The policies of this machine and of this home folder; what is installed must pass both.
    pub(super) fn policies(&self) -> Result<Policies, Failure> {
        let files = [Path::new("/etc/mpkg").join(POLICY_NAME), self.home.root().join(POLICY_NAME)];
        Ok(Policies::read(&files)?)
    }

    /// The folders in which programs are looked for.
    #[expect(clippy::disallowed_methods, reason = "cli is where the environment is read")]
    pub(super) fn search_path() -> Vec<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
    }

    /// Who watches this run.
    pub(super) fn progress(&self) -> &dyn Progress {
        &self.terminal
    }

    /// The one client that fetches for this run.
    pub(super) fn client(&self) -> Client {
        Client::new(self.net_options())
    }

    /// How this run's client behaves.
    pub(super) fn net_options(&self) -> NetOptions {
        let network = if self.offline { Network::Offline } else { Network::Allowed };
        NetOptions { proxies: proxies(), ..NetOptions::new(self.home.cache(), network) }
    }

    /// Asks a question on the terminal. Where nobody is there to answer, or `--yes` was given,
    /// the answer is yes.
    pub(super) fn confirms(&self, question: &str) -> bool {
        use std::io::{BufRead as _, IsTerminal as _, Write as _};
        let input = std::io::stdin();
        if self.yes || !input.is_terminal() || !std::io::stderr().is_terminal() {
            return true;
        }
        let _ = write!(anstream::stderr(), "{question} [Y/n] ");
        let mut answer = String::new();
        match input.lock().read_line(&mut answer) {
            // The end of the input is no consent.
            Ok(0) | Err(_) => false,
            Ok(_) => matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"),
        }
    }
}

/// The proxies that the environment names. A name in lower case goes before one in capitals; as a
/// web server hands `HTTP_PROXY` a header of whoever asks it, that one does not count below a server.
#[expect(clippy::disallowed_methods, reason = "cli is where the environment is read")]
fn proxies() -> Proxies {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let either = |name: &str| read(name).or_else(|| read(&name.to_uppercase()));
    let below_a_server = read("REQUEST_METHOD").is_some();
    Proxies {
        http: if below_a_server { read("http_proxy") } else { either("http_proxy") },
        https: either("https_proxy"),
        all: either("all_proxy"),
        none_for: either("no_proxy"),
    }
}
