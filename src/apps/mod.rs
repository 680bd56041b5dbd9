//! The programs that come with the stack. Each runs inside the loop, in its thread.

mod chargen;
mod discard;
mod echo;
pub mod http;

#[cfg(test)]
mod tests;

pub use chargen::Chargen;
pub use discard::Discard;
pub use echo::Echo;
pub use http::Http;
