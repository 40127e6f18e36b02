//! What was measured of tensors.

use serde::Serialize;

use super::distance::Sums;

/// What was measured of two sets of weights. Distances are those of the tensors that changed; they
/// are absent where none could be measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WeightsFacts {
    /// How many tensors both have under one name.
    pub tensors: u64,
    /// How many of these have other bytes, another type or another shape.
    pub tensors_changed: u64,
    /// The names of tensors that only the first has.
    pub only_in_first: Vec<String>,
    /// The names of tensors that only the second has.
    pub only_in_second: Vec<String>,
    /// Tensors whose type or shape differs.
    pub unlike: Vec<Unlike>,
    /// The bytes of the tensors that were compared.
    pub bytes: u64,
    /// How many of these bytes differ.
    pub bytes_changed: u64,
    /// The length of the difference over the length of the first, all changed tensors taken
    /// together.
    pub relative_l2: Option<f64>,
    /// The largest absolute difference of two elements.
    pub max_abs: Option<f64>,
    /// The tensor that it is in.
    pub max_abs_tensor: Option<String>,
    /// The smallest cosine of two tensors.
    pub min_cosine: Option<f64>,
    /// The tensor that it is of.
    pub min_cosine_tensor: Option<String>,
    /// How many elements of changed tensors are NaN or infinite in either.
    pub odd: u64,
    /// How many of these are not the same in both. They are left out of the distances.
    pub odd_changed: u64,
    /// How many changed tensors have a type whose elements are not read, or elements too large to
    /// be measured.
    pub unmeasured: u64,
    /// Keys of the metadata with another value, in byte order.
    pub metadata_changed: Vec<String>,
    /// Whether all of them describe the file and cannot change what it does.
    pub metadata_describes: bool,
    /// The tensors that changed, in byte order of their names.
    pub changed: Vec<TensorFacts>,
}

impl WeightsFacts {
    /// Whether both have the same tensors by name, type and shape.
    #[must_use]
    pub fn is_comparable(&self) -> bool {
        self.only_in_first.is_empty() && self.only_in_second.is_empty() && self.unlike.is_empty()
    }

    /// Whether every tensor has the same name, type, shape and bytes.
    #[must_use]
    pub fn has_equal_tensors(&self) -> bool {
        self.is_comparable() && self.tensors_changed == 0
    }
}

/// A tensor with another type or shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlike {
    /// Its name.
    pub name: String,
    /// Its type and shape in the first, as in `F32 [2, 3]`.
    pub first: String,
    /// The same in the second.
    pub second: String,
}

/// What was measured of one tensor that has other bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TensorFacts {
    /// Its name.
    pub name: String,
    /// Its type.
    pub dtype: String,
    /// Its dimensions.
    pub shape: Vec<u64>,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many of them differ.
    pub bytes_changed: u64,
    /// How many elements have another value, where they can be read.
    pub elements_changed: Option<u64>,
    /// The length of the difference over the length of the first.
    pub relative_l2: Option<f64>,
    /// The largest absolute difference of two elements.
    pub max_abs: Option<f64>,
    /// The cosine of the two.
    pub cosine: Option<f64>,
    /// How many elements are NaN or infinite in either.
    pub odd: u64,
    /// How many of these are not the same in both.
    pub odd_changed: u64,
}

impl TensorFacts {
    pub(super) fn measured(mut self, sums: &Sums) -> Self {
        self.elements_changed = Some(sums.changed);
        self.odd = sums.odd;
        self.odd_changed = sums.odd_changed;
        if sums.is_measured() {
            self.relative_l2 = sums.relative_l2();
            self.max_abs = Some(sums.max_abs);
            self.cosine = Some(sums.cosine());
        }
        self
    }
}

impl WeightsFacts {
    /// Takes in a tensor that changed, with its sums where its elements can be read.
    pub(super) fn add(&mut self, tensor: TensorFacts, sums: Option<&Sums>, total: &mut Sums) {
        self.tensors_changed += 1;
        self.bytes_changed += tensor.bytes_changed;
        self.odd += tensor.odd;
        self.odd_changed += tensor.odd_changed;
        match sums {
            Some(sums) if sums.is_measured() => total.add(sums),
            _ => self.unmeasured += 1,
        }
        if let Some(found) = tensor.max_abs
            && self.max_abs.is_none_or(|largest| found > largest)
        {
            self.max_abs = Some(found);
            self.max_abs_tensor = Some(tensor.name.clone());
        }
        if let Some(found) = tensor.cosine
            && self.min_cosine.is_none_or(|smallest| found < smallest)
        {
            self.min_cosine = Some(found);
            self.min_cosine_tensor = Some(tensor.name.clone());
        }
        self.changed.push(tensor);
    }
}
