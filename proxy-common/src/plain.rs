//! Marks the types of `F: Family` as plain data: no padding, every bit pattern valid.

/// Implements `Zeroable` and `Pod` for a generic `#[repr(C)]` struct, and proves by size that it has no padding.
macro_rules! plain {
    ($($name:ident: $v4:literal, $v6:literal;)*) => {$(
        // SAFETY: all fields are plain data themselves, so all-zero bytes are a value.
        unsafe impl<F: $crate::family::Family> bytemuck::Zeroable for $name<F> {}
        // SAFETY: `repr(C)`, fields of plain data only, and no padding: the sizes below are the sums of the fields'.
        unsafe impl<F: $crate::family::Family> bytemuck::Pod for $name<F> {}
        const _: () = {
            assert!(size_of::<$name<$crate::family::V4>>() == $v4);
            assert!(size_of::<$name<$crate::family::V6>>() == $v6);
        };
    )*};
}
pub(crate) use plain;
