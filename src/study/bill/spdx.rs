//! SPDX 3.0.1 as JSON-LD, with the profiles for software, licences, AI and datasets.

use serde_json::{Map, Value, json};

use super::{Bill, Item, ItemKind, Relation, digest_of, seconds};
use crate::package::Kind;

/// The context that gives the words their meaning.
const CONTEXT: &str = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld";
/// The individual that stands for a licence that nobody states.
const NO_ASSERTION: &str = "https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertionLicense";
/// The one creation info of a document.
const CREATION: &str = "_:creation";
/// The version of the licence list that expressions were checked against.
const LICENCE_LIST: &str = "3.29.0";

/// Collects the elements of a document.
struct Graph {
    base: String,
    elements: Vec<Value>,
}

/// The bill as an SPDX document.
#[must_use]
pub fn document(bill: &Bill) -> Value {
    let mut graph =
        Graph { base: format!("urn:mpkg:spdx:{}", digest_of(bill)), elements: Vec::new() };
    graph.elements.push(json!({
        "@id": CREATION, "type": "CreationInfo", "specVersion": "3.0.1",
        "created": seconds(bill.created), "createdBy": [graph.id("maker")],
    }));
    graph.element("maker", "SoftwareAgent", json!({"name": "mpkg"}));
    for item in &bill.items {
        graph.item(item);
    }
    for link in &bill.links {
        let (from, to) = (&bill.items[link.from], &bill.items[link.to]);
        let (kind, scope) = words(link.relation);
        let to = graph.id(&to.id);
        graph.relationship(from, kind, &to, scope);
    }
    let root = bill.items.first().map(|item| graph.id(&item.id));
    let ids = graph.ids();
    let profiles = ["core", "software", "simpleLicensing", "ai", "dataset"];
    let name = bill.items.first().map(|item| item.name.clone()).unwrap_or_default();
    graph.element(
        "sbom",
        "software_Sbom",
        json!({
            "name": format!("what {name} was made from"), "rootElement": root.into_iter().collect::<Vec<_>>(),
            "element": ids, "software_sbomType": ["build"], "profileConformance": profiles,
        }),
    );
    let ids = graph.ids();
    graph.element("no-rights", "simplelicensing_LicenseExpression", expression("CC0-1.0"));
    graph.element(
        "document",
        "SpdxDocument",
        json!({
            "name": name, "rootElement": [graph.id("sbom")], "element": ids,
            "dataLicense": graph.id("no-rights"), "profileConformance": profiles,
        }),
    );
    json!({"@context": CONTEXT, "@graph": graph.elements})
}

/// The relationship's type, and the part of a life that it is about.
fn words(relation: Relation) -> (&'static str, Option<&'static str>) {
    match relation {
        Relation::TrainedOn => ("trainedOn", None),
        Relation::TestedOn => ("testedOn", None),
        Relation::MadeFrom => ("descendantOf", None),
        Relation::DependsOn => ("dependsOn", Some("runtime")),
        Relation::BuiltWith => ("dependsOn", Some("build")),
    }
}

fn expression(text: &str) -> Value {
    json!({
        "simplelicensing_licenseExpression": text,
        "simplelicensing_licenseListVersion": LICENCE_LIST,
    })
}

impl Graph {
    fn id(&self, name: &str) -> String {
        let clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        let name: String = name.chars().map(|c| if clean(c) { c } else { '-' }).collect();
        format!("{}:{name}", self.base)
    }

    /// The ids of all elements so far.
    fn ids(&self) -> Vec<Value> {
        self.elements.iter().filter_map(|element| element.get("spdxId").cloned()).collect()
    }

    fn element(&mut self, name: &str, kind: &str, more: Value) {
        let mut members = Map::new();
        members.insert("spdxId".to_owned(), self.id(name).into());
        members.insert("type".to_owned(), kind.into());
        members.insert("creationInfo".to_owned(), CREATION.into());
        if let Value::Object(more) = more {
            members.extend(more.into_iter().filter(|(_, value)| !is_empty(value)));
        }
        self.elements.push(members.into());
    }

    fn item(&mut self, item: &Item) {
        let (kind, purpose) = match item.kind {
            _ if item.is_model() => ("ai_AIPackage", "model"),
            _ if item.is_data() => ("dataset_DatasetPackage", "data"),
            ItemKind::Package(Kind::Tokenizer) => ("software_Package", "data"),
            ItemKind::Code => ("software_Package", "source"),
            _ => ("software_Package", "library"),
        };
        let supplier = item.maintainers.first().map(|name| {
            let agent = format!("{}:supplier", item.id);
            self.element(&agent, "Agent", json!({"name": name}));
            self.id(&agent)
        });
        let hash = item.sha256.map(|digest| {
            json!([{"type": "Hash", "algorithm": "sha256", "hashValue": digest.to_string()}])
        });
        let mut members = json!({
            "name": item.name, "summary": item.summary, "comment": comment(item),
            "software_packageVersion": item.version, "software_packageUrl": item.url,
            "software_primaryPurpose": purpose, "verifiedUsing": hash, "suppliedBy": supplier,
            "software_downloadLocation": item.addresses.first(),
        });
        if item.is_model() {
            members["ai_domain"] = json!(item.tasks);
            members["ai_informationAboutTraining"] = json!(
                "the data that it was trained on, code and environment are elements of this document"
            );
        }
        if item.is_data() {
            members["dataset_datasetType"] = json!(["noAssertion"]);
            members["dataset_datasetSize"] = json!(item.size);
            let availability = (!item.addresses.is_empty()).then_some("directDownload");
            members["dataset_datasetAvailability"] = json!(availability);
        }
        self.element(&item.id, kind, members);
        self.licences(item);
    }

    /// The declared and the concluded licence, one of each.
    fn licences(&mut self, item: &Item) {
        for (relation, license) in [
            ("hasDeclaredLicense", item.license.as_deref()),
            ("hasConcludedLicense", item.concluded()),
        ] {
            let to = match license {
                None => NO_ASSERTION.to_owned(),
                Some(license) => {
                    let name = format!("{}:{relation}:licence", item.id);
                    self.element(&name, "simplelicensing_LicenseExpression", expression(license));
                    self.id(&name)
                }
            };
            self.relationship(item, relation, &to, None);
        }
    }

    fn relationship(&mut self, from: &Item, kind: &str, to: &str, scope: Option<&str>) {
        let number = self.elements.len();
        let name = format!("relationship-{number}");
        let mut members = json!({
            "from": self.id(&from.id), "relationshipType": kind, "to": [to],
        });
        let class = match scope {
            Some(scope) => {
                members["scope"] = scope.into();
                "LifecycleScopedRelationship"
            }
            None => "Relationship",
        };
        self.element(&name, class, members);
    }
}

/// What this format has no word for.
fn comment(item: &Item) -> String {
    let mut lines = vec![format!("licence: {}", item.level.as_str())];
    lines.extend(item.evidence.iter().map(|place| format!("evidence: {place}")));
    lines.extend(item.findings.iter().map(|finding| format!("finding: {finding}")));
    lines.extend(item.properties.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.join("\n")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::bill;
    use super::*;

    #[test]
    fn every_element_is_named_once_and_has_both_licences() {
        let document = document(&bill());
        let graph = document["@graph"].as_array().unwrap();
        let mut ids: Vec<&str> = graph.iter().filter_map(|one| one["spdxId"].as_str()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        let of = |kind: &str| graph.iter().filter(|one| one["relationshipType"] == kind).count();
        assert_eq!((of("hasDeclaredLicense"), of("hasConcludedLicense")), (3, 3));
        assert_eq!(of("trainedOn"), 1);
        let unknown = graph.iter().filter(|one| one["to"][0] == NO_ASSERTION).count();
        assert_eq!(unknown, 2);
        assert!(ids.iter().all(|id| id.starts_with("urn:mpkg:spdx:")));
    }
}
