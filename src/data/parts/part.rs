//! The parts that are marked in a picture.
//!
//! The number of a part is its place in [`NAMES`]; "none" is 0. A part that looks the same on
//! several classes (a headlight, the striped area of a zebra or a tiger) is one part. Where a part
//! is the animal's own (a dog's ear, a cat's), the name ends with the common word, so that all eyes
//! can be pooled.

macro_rules! parts {
    ($($part:ident $name:literal,)*) => {
        /// A marked part; its number is what the part map holds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Part { $($part,)* }

        /// Names by number.
        pub(super) const NAMES: &[&str] = &[$($name,)*];
    };
}

parts! {
    None "none",
    Headlight "headlight",
    TailLight "tail-light",
    Wheel "wheel",
    VehicleWindow "vehicle window",
    BicycleWheel "bicycle wheel",
    Saddle "saddle",
    DogEar "dog ear",
    DogEye "dog eye",
    DogNose "dog nose",
    DogTail "dog tail",
    CatEar "cat ear",
    CatEye "cat eye",
    CatNose "cat nose",
    CatTail "cat tail",
    Stripe "stripe",
    Spots "spots",
    TigerEar "tiger ear",
    TigerEye "tiger eye",
    LeopardEar "leopard ear",
    LeopardEye "leopard eye",
    ZebraEar "zebra ear",
    ZebraEye "zebra eye",
    Mane "mane",
    Muzzle "zebra muzzle",
    Roof "roof",
    Door "door",
    HouseWindow "house window",
    Trunk "trunk",
    Foliage "foliage",
    Petal "petal",
    FlowerCentre "flower centre",
    Beak "beak",
    BirdEye "bird eye",
    BirdWing "bird wing",
    BirdTail "bird tail",
    FishEye "fish eye",
    FishFin "fish fin",
    FishTail "fish tail",
    Scales "scales",
    ButterflyWing "butterfly wing",
    Antenna "antenna",
    WingCase "wing case",
    BeetleHead "ladybird head",
}
