//! What a profile of another format said for which the profile value has no other place.

/// Facts of an imported profile that are kept so that writing it in its own format again gives
/// the same profile. Nothing else reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Foreign {
    /// Where the profile is documented; empty when it did not say.
    pub doc_url: String,
    /// The name of the weight to show first; empty when it did not say.
    pub default_weight: String,
    /// Frames that a viewer may drop, as a regular expression; empty when there are none.
    pub drop_frames: String,
    /// Frames that a viewer keeps although `drop_frames` matches; empty when there are none.
    pub keep_frames: String,
    /// Unit of the period; `None` when the profile did not say what its period counts.
    pub period_unit: Option<String>,
    /// The units of the weights as they were spelled, in the order of the profile's weights.
    pub weight_units: Vec<String>,
    /// What the profile claimed to know of each image, in the order of the profile's images.
    pub images: Vec<Claims>,
}

/// What a profile claims to know of the code in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claims {
    /// Functions are named.
    pub functions: bool,
    /// Files are named.
    pub files: bool,
    /// Lines are known.
    pub lines: bool,
    /// Inlined functions are frames of their own.
    pub inlines: bool,
}
