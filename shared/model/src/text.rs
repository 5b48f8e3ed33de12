//! The conversions that Rust's own traits have for a type that is parsed from a text.

/// `FromStr`, for a type with `parse(&str) -> Result<Self, Invalid>`.
macro_rules! from_text {
    ($type:ty) => {
        impl std::str::FromStr for $type {
            type Err = $crate::Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
    };
}

/// And serde as a string, for a type with `Display`, which no secret has.
macro_rules! text_traits {
    ($type:ty) => {
        $crate::text::from_text!($type);

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {from_text, text_traits};
