//! Through whom connections are made, as the environment's variables say it.

use std::fmt;

/// The proxies of a [`Client`](super::Client); each may hold a password, and none is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http:` addresses: `$http_proxy`.
    pub http: Option<String>,
    /// For `https:` addresses: `$https_proxy`.
    pub https: Option<String>,
    /// For both, where there is none of their own: `$all_proxy`.
    pub all: Option<String>,
    /// The hosts that are asked directly, with commas between them: `$no_proxy`.
    pub none_for: Option<String>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = [&self.http, &self.https, &self.all].into_iter().flatten().count();
        write!(f, "Proxies({set})")
    }
}

impl Proxies {
    /// The proxies as the client that is being made takes them.
    pub(super) fn list(&self) -> Result<Vec<reqwest::Proxy>, String> {
        let none_for = self.none_for.as_deref().and_then(reqwest::NoProxy::from_string);
        let proxies = [
            ("http_proxy", self.http.as_deref().map(reqwest::Proxy::http)),
            ("https_proxy", self.https.as_deref().map(reqwest::Proxy::https)),
            ("all_proxy", self.all.as_deref().map(reqwest::Proxy::all)),
        ];
        let mut list = Vec::new();
        for (name, proxy) in proxies {
            let Some(proxy) = proxy else { continue };
            // What reqwest says of it may show a password.
            let proxy = proxy.map_err(|_| format!("${name} is not a proxy's address"))?;
            list.push(proxy.no_proxy(none_for.clone()));
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let http = Some("http://me:secret@proxy:3128".to_owned());
        let proxies = Proxies { http, ..Proxies::default() };
        assert_eq!(format!("{proxies:?}"), "Proxies(1)");
        let wrong = Proxies { all: Some("ht tp://me:secret@".to_owned()), ..Proxies::default() };
        let fault = wrong.list().unwrap_err();
        assert_eq!(fault, "$all_proxy is not a proxy's address");
    }
}
