//! The settings whose value is one of a few names, as enums, and what the architecture names mean.
//!
//! Enums rather than text, so that a name which passed the table needs no second check later and
//! the compiler points at every place that a new choice concerns.

use super::table::{HeadSettings, ModelSettings};
use super::value::{Kind, Value};

macro_rules! choices {
    ($($(#[$doc:meta])* $Choice:ident { $($(#[$variant_doc:meta])* $Variant:ident = $name:literal,)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $Choice { $($(#[$variant_doc])* $Variant,)+ }

            impl $Choice {
                /// Every name, in the order they are offered.
                pub const NAMES: &'static [&'static str] = &[$($name),+];

                /// The name in files and flags.
                pub fn name(self) -> &'static str {
                    match self { $($Choice::$Variant => $name,)+ }
                }
            }

            impl Value for $Choice {
                const KIND: Kind = Kind::Choice($Choice::NAMES);
                fn from_toml(value: &toml::Value) -> Option<Self> {
                    match value.as_str()? {
                        $($name => Some($Choice::$Variant),)+
                        _ => None,
                    }
                }
                fn to_toml(&self) -> toml::Value {
                    toml::Value::String(self.name().to_owned())
                }
            }
        )+
    };
}

choices! {
    /// How masked patches are laid out (`mask.shape`).
    MaskShape {
        /// Rectangles until the share is reached.
        Block = "block",
        /// Patches picked one by one.
        Rand = "rand",
    }
    /// Named sizes of vision transformers (`model.arch`).
    Arch {
        VitTiny = "vit_tiny",
        VitSmall = "vit_small",
        VitBase = "vit_base",
        VitLarge = "vit_large",
        SwinTiny = "swin_tiny",
        SwinSmall = "swin_small",
        SwinBase = "swin_base",
        SwinLarge = "swin_large",
        /// `model.dim`, `model.depth` and `model.heads` say it all.
        Custom = "custom",
    }
    /// Normalisation after the hidden layers of the projection head (`head.norm`).
    HeadNorm {
        None = "none",
        Layer = "ln",
        Batch = "bn",
    }
    /// Activation in the projection head (`head.act`).
    Activation {
        Gelu = "gelu",
        Relu = "relu",
    }
    /// `optim.kind`.
    Optimizer {
        AdamW = "adamw",
        Sgd = "sgd",
        Lars = "lars",
    }
}

impl Arch {
    /// Width of the first stage, blocks and attention heads of every stage; `None` where it is no Swin
    /// transformer.
    pub fn stages(self) -> Option<(usize, [usize; 4], [usize; 4])> {
        match self {
            Arch::SwinTiny => Some((96, [2, 2, 6, 2], [3, 6, 12, 24])),
            Arch::SwinSmall => Some((96, [2, 2, 18, 2], [3, 6, 12, 24])),
            Arch::SwinBase => Some((128, [2, 2, 18, 2], [4, 8, 16, 32])),
            Arch::SwinLarge => Some((192, [2, 2, 18, 2], [6, 12, 24, 48])),
            _ => None,
        }
    }

    /// Width, depth and attention heads of a ViT; zeros for [`Arch::Custom`].
    pub fn sizes(self) -> (usize, usize, usize) {
        match self {
            Arch::VitTiny => (192, 12, 3),
            Arch::VitSmall => (384, 12, 6),
            Arch::VitBase => (768, 12, 12),
            Arch::VitLarge => (1024, 24, 16),
            _ => (0, 0, 0),
        }
    }
}

impl HeadSettings {
    /// Number of prototypes that the teacher's patches have: those of its class token where they are shared.
    pub fn teacher_patches(&self) -> usize {
        match self.shared || self.shared_teacher {
            true => self.out_dim,
            false => self.patch_out_dim,
        }
    }
}

impl ModelSettings {
    /// Width of the first stage, blocks and attention heads of every stage, where it is a Swin transformer.
    pub fn swin(&self) -> Option<(usize, Vec<usize>, Vec<usize>)> {
        let (dim, depths, heads) = self.arch.stages()?;
        let or = |set: &[usize], named: [usize; 4]| match *set {
            [0] => named.to_vec(),
            _ => set.to_vec(),
        };
        let dim = if self.dim == 0 { dim } else { self.dim };
        Some((dim, or(&self.depths, depths), or(&self.stage_heads, heads)))
    }

    /// Side in pixels of what a token after the last block stands for: of a cell of a mask.
    pub fn cell(&self) -> usize {
        let halvings = self.swin().map_or(0, |(_, depths, _)| depths.len() - 1);
        self.patch << halvings
    }

    /// `(dim, depth, heads)` of a ViT: what is set, else what [`ModelSettings::arch`] says.
    pub fn resolved(&self) -> (usize, usize, usize) {
        let (dim, depth, heads) = self.arch.sizes();
        let or = |set: usize, named: usize| if set == 0 { named } else { set };
        (
            or(self.dim, dim),
            or(self.depth, depth),
            or(self.heads, heads),
        )
    }
}
