//! Why a registry is believed: `mpkg registry add`, the client of The Update Framework, and what
//! other programs say of both.

mod add;
mod attacks;
mod judges;
