//! Keeping the search lists in step with the indexes.

use std::collections::BTreeMap;

use super::Result;
use super::repository::Repository;
use super::write::to_json;
use crate::registry::layout::{self, SearchShard};
use crate::registry::{INDEX_FORMAT, NameIndex, SearchEntry, SearchList};

impl Repository<'_> {
    /// The search lists that differ once these are the indexes of their names, by their paths.
    pub(super) fn search_lists<'i>(
        &mut self,
        indexes: impl IntoIterator<Item = &'i NameIndex>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let bits = self.succinct()?.bit_length;
        let mut by_list: BTreeMap<SearchShard, Vec<&NameIndex>> = BTreeMap::new();
        for index in indexes {
            by_list.entry(SearchShard::of(&index.name, bits)).or_default().push(index);
        }
        let mut lists = BTreeMap::new();
        for (shard, indexes) in by_list {
            let path = layout::search(shard);
            let known: Option<SearchList> = self.read(&path)?;
            let mut list = known.unwrap_or(SearchList { format: INDEX_FORMAT, packages: vec![] });
            for index in indexes {
                list.packages.retain(|entry| entry.name != index.name);
                list.packages.extend(SearchEntry::of(index));
            }
            list.packages.sort_by(|a, b| a.name.cmp(&b.name));
            let bytes = to_json(&path, &list)?;
            lists.insert(path, bytes);
        }
        Ok(lists)
    }
}
