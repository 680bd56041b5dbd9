//! The headers that connections have sent last, from which the next ones are made: for as many
//! connections as are likely to be at work at the same time, so that a million idle ones pay nothing.

use slotmap::Key;

use super::ConnId;
use crate::tcp::Settings;
use crate::wire::Flow;
use crate::wire::codec::Template;

/// The most templates that are kept, and a power of two: about 150 KiB of them. A connection that
/// finds its place taken makes a new one, which costs about as much as a checksum of 1,460 bytes.
const MOST: usize = 1_024;

/// The templates, each in the place that the number of its connection says.
#[derive(Default)]
pub(super) struct Templates(Vec<(ConnId, Template)>);

impl Templates {
    /// The template of connection `id`, made if there is none that fits.
    #[inline]
    pub(super) fn get(
        &mut self,
        id: ConnId,
        flow: &Flow,
        settings: &Settings,
        timestamps: bool,
    ) -> &Template {
        let make = || Template::new(*flow, settings.diffserv(), settings.ttl, timestamps);
        let place = place(id);
        if place >= self.0.len() {
            // No more places than there have been connections at the same time.
            self.0.resize(place + 1, (ConnId::null(), make()));
        }
        let (owner, template) = &mut self.0[place];
        if *owner != id || template.has_timestamps() != timestamps {
            (*owner, *template) = (id, make());
        }
        template
    }

    /// What the headers of connection `id` say has changed.
    pub(super) fn forget(&mut self, id: ConnId) {
        if let Some((owner, _)) = self.0.get_mut(place(id)).filter(|(owner, _)| *owner == id) {
            *owner = ConnId::null();
        }
    }

    /// Bytes of memory taken.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<(ConnId, Template)>()
    }
}

/// Where the template of a connection has its place: the low bits count those of the slab.
fn place(id: ConnId) -> usize {
    id.data().as_ffi() as usize % MOST
}
