//! `CycloneDX` 1.6, with model cards: an ML-BOM.

use serde_json::{Map, Value, json};

use super::{Bill, Item, ItemKind, Relation, digest_of, seconds};
use crate::package::Kind;

/// The bill as a `CycloneDX` document.
#[must_use]
pub fn document(bill: &Bill) -> Value {
    let components: Vec<Value> =
        bill.items.iter().enumerate().skip(1).map(|(place, _)| component(bill, place)).collect();
    let root = if bill.items.is_empty() { Value::Null } else { component(bill, 0) };
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(bill),
        "version": 1,
        "metadata": {
            "timestamp": seconds(bill.created),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{
                "type": "application", "name": "mpkg", "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": root,
        },
        "components": components,
        "dependencies": dependencies(bill),
    })
}

/// A UUID of the eighth kind, out of the bill's contents.
fn serial_number(bill: &Bill) -> String {
    let hex = digest_of(bill).to_string();
    let variant = match hex.as_bytes()[16] {
        b'0' | b'4' | b'8' | b'c' => '8',
        b'1' | b'5' | b'9' | b'd' => '9',
        b'2' | b'6' | b'a' | b'e' => 'a',
        _ => 'b',
    };
    let (first, second, third) = (&hex[..8], &hex[8..12], &hex[13..16]);
    let (fourth, last) = (&hex[17..20], &hex[20..32]);
    format!("urn:uuid:{first}-{second}-8{third}-{variant}{fourth}-{last}")
}

fn component(bill: &Bill, place: usize) -> Value {
    let item = &bill.items[place];
    let kind = match item.kind {
        _ if item.is_model() => "machine-learning-model",
        _ if item.is_data() => "data",
        ItemKind::Package(Kind::Tokenizer) => "data",
        ItemKind::Package(_) => "framework",
        ItemKind::Code => "application",
        _ => "library",
    };
    let licence = |text: &str, word: &str| json!([{"expression": text, "acknowledgement": word}]);
    let addresses: Vec<Value> = item
        .addresses
        .iter()
        .map(|address| json!({"type": "distribution", "url": address}))
        .collect();
    let mut members = json!({
        "type": kind, "bom-ref": item.id, "name": item.name, "version": item.version,
        "description": item.summary, "purl": item.url,
        "hashes": item.sha256.map(|it| json!([{"alg": "SHA-256", "content": it.to_string()}])),
        "authors": item.maintainers.iter().map(|it| json!({"name": it})).collect::<Vec<_>>(),
        "licenses": item.license.as_deref().map(|text| licence(text, "declared")),
        "evidence": item.concluded().map(|text| json!({"licenses": licence(text, "concluded")})),
        "externalReferences": addresses,
        "properties": properties(item),
        "modelCard": item.is_model().then(|| model_card(bill, place)),
        "data": item.is_data().then(|| json!([data(item)])),
    });
    prune(&mut members);
    members
}

/// What this format has no word for.
fn properties(item: &Item) -> Vec<Value> {
    let mut all = vec![("mpkg:licence-level".to_owned(), item.level.as_str().to_owned())];
    all.extend(item.evidence.iter().map(|it| ("mpkg:licence-evidence".to_owned(), it.clone())));
    all.extend(item.findings.iter().map(|it| ("mpkg:finding".to_owned(), it.clone())));
    all.extend(item.properties.iter().map(|(name, value)| (format!("mpkg:{name}"), value.clone())));
    all.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn data(item: &Item) -> Value {
    let mut data = json!({
        "type": "dataset", "name": item.name,
        "contents": item.addresses.first().map(|address| json!({"url": address})),
    });
    prune(&mut data);
    data
}

fn model_card(bill: &Bill, place: usize) -> Value {
    let sets = bill
        .links
        .iter()
        .filter(|link| link.from == place)
        .filter(|link| matches!(link.relation, Relation::TrainedOn | Relation::TestedOn));
    let sets: Vec<Value> = sets.map(|link| json!({"ref": bill.items[link.to].id})).collect();
    json!({"modelParameters": {
        "task": bill.items[place].tasks.first().map_or("unknown", String::as_str),
        "datasets": sets,
    }})
}

fn dependencies(bill: &Bill) -> Vec<Value> {
    let of = |place: usize| {
        let links = bill.links.iter().filter(move |link| link.from == place);
        let mut needs: Vec<&str> = links.map(|link| bill.items[link.to].id.as_str()).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    };
    bill.items
        .iter()
        .enumerate()
        .map(|(place, item)| match of(place) {
            needs if needs.is_empty() => json!({"ref": item.id}),
            needs => json!({"ref": item.id, "dependsOn": needs}),
        })
        .collect()
}

/// Leaves out members that say nothing.
fn prune(value: &mut Value) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if let Value::Object(members) = value {
        let kept = std::mem::take(members).into_iter().filter(|(_, value)| !is_empty(value));
        *members = kept.collect::<Map<String, Value>>();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::bill;
    use super::*;

    #[test]
    fn a_model_names_its_data() {
        let document = document(&bill());
        let root = &document["metadata"]["component"];
        assert_eq!(root["type"], "machine-learning-model");
        assert_eq!(root["modelCard"]["modelParameters"]["datasets"][0]["ref"], "page");
        assert_eq!(document["components"][1]["licenses"], Value::Null);
        let serial = document["serialNumber"].as_str().unwrap();
        assert_eq!((serial.len(), &serial[23..24]), (45, "8"));
    }
}
