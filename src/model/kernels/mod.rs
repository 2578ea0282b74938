//! The operations in which a transformer spends its time, fused for the CPU.
//!
//! On a GPU these are compositions of Burn's own operations, which its compiler and autotuner look
//! after. On the CPU such a composition walks over memory ten times where once is enough and keeps
//! every intermediate result for the backward pass, so there each operation is a `Kernel`: one
//! forward and one hand-written backward over plain slices, rows in parallel, vectorised for the
//! machine at run time by `pulp`. Both paths are held against the reference's numbers by the parity
//! tests, and against each other by `patchlight doctor`.
//!
//! Everything is a matrix: tokens are `[batch * tokens, width]`.

mod attention;
mod cross_entropy;
mod gelu;
mod layer_norm;
mod linear;
mod rearrange;
mod residual;
pub(crate) mod simd;
mod update;

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::{Device, Tensor, TensorData};

pub use attention::{attention, window_attention, window_weights};
pub use cross_entropy::{centred_softmax, cross_entropy};
pub use gelu::gelu;
pub use layer_norm::{l2_normalise, layer_norm};
pub use linear::{linear, matmul_transposed};
pub use rearrange::{Rearrangement, rearrange};
pub use residual::add_scaled;
pub use update::{AdamW, adamw, moving_average, norm};

/// True when tensors of this device live in the CPU backend's own memory.
pub fn is_cpu(device: &Device) -> bool {
    matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Flex(_)
    )
}

/// One operation of up to three matrices with a hand-written gradient. Unused inputs are given the
/// first one again. All inputs and gradients are contiguous f32.
trait Kernel: Debug + Send + Sync {
    /// The result, and what the backward pass needs to see again.
    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>);

    /// The gradient of each input that `wanted` asks for.
    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        grad: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3];
}

#[backend_extension(Flex, Autodiff)]
trait Fused: Backend {
    fn fused(
        kernel: Arc<dyn Kernel>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl Fused for Flex {
    fn fused(kernel: Arc<dyn Kernel>, a: FlexTensor, b: FlexTensor, c: FlexTensor) -> FlexTensor {
        kernel.forward([a, b, c].map(|x| x.to_contiguous())).0
    }
}

#[derive(Debug)]
struct FusedBackward;

impl Backward<Flex, 3> for FusedBackward {
    type State = (Arc<dyn Kernel>, Vec<FlexTensor>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (kernel, saved) = ops.state;
        let wanted = [0, 1, 2].map(|i| ops.parents[i].is_some());
        let results = kernel.backward(saved, grad, wanted);
        for (node, result) in ops.parents.into_iter().zip(results) {
            if let (Some(node), Some(result)) = (node, result) {
                grads.register::<Flex>(node.id, result);
            }
        }
    }
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn fused(
        kernel: Arc<dyn Kernel>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        match FusedBackward
            .prepare::<C>([a.node(), b.node(), c.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let inputs = [a, b, c].map(|x| x.into_primitive().to_contiguous());
                let (out, saved) = kernel.forward(inputs);
                prep.finish((kernel, saved), out)
            }
            OpsKind::UnTracked(prep) => {
                let inputs = [a, b, c].map(|x| x.into_primitive().to_contiguous());
                prep.finish(kernel.forward(inputs).0)
            }
        }
    }
}

/// Runs `kernel` on the CPU backend, recording its gradient where an input is tracked.
fn run(kernel: impl Kernel + 'static, a: Tensor<2>, b: Tensor<2>, c: Tensor<2>) -> Tensor<2> {
    let out = <Dispatch as Fused>::fused(
        Arc::new(kernel),
        a.into_dispatch(),
        b.into_dispatch(),
        c.into_dispatch(),
    );
    Tensor::from_dispatch(out)
}

/// Rows and columns of a matrix.
fn dims(x: &FlexTensor) -> [usize; 2] {
    let shape = x.layout().shape();
    [shape[0], shape[1]]
}

/// The elements of a contiguous matrix.
fn slice(x: &FlexTensor) -> &[f32] {
    let start = x.layout().start_offset();
    &x.storage::<f32>()[start..start + x.layout().num_elements()]
}

/// A matrix from its elements, row-major.
fn matrix(data: Vec<f32>, rows: usize, columns: usize) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, [rows, columns]))
}
