//! Partitions of the disk that this program was started from, by their names. A stick that carries the same names is
//! never looked at.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use uefi::boot::{self, ScopedProtocol};
use uefi::proto::device_path::{DevicePath, DeviceType};
use uefi::proto::loaded_image::LoadedImage;
use uefi::proto::media::block::BlockIO;
use uefi::proto::media::partition::PartitionInfo;
use uefi::{Guid, Handle, Status};

/// A partition of our own disk.
pub struct Partition {
    handle: Handle,
    /// Its PARTUUID.
    pub uuid: Guid,
}

impl Partition {
    /// The partition of this name.
    pub fn find(name: &str) -> uefi::Result<Self> {
        let ours = boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle())?
            .device()
            .ok_or(Status::NOT_FOUND)?;
        let disk = disk_of(ours)?;
        for handle in boot::find_handles::<PartitionInfo>()? {
            if disk_of(handle).ok().as_ref() != Some(&disk) {
                continue;
            }
            let info = shared::<PartitionInfo>(handle)?;
            let Some(entry) = info.gpt_partition_entry() else {
                continue;
            };
            // The entry is packed: copied out before it is looked at.
            let (letters, uuid) = (entry.partition_name, entry.unique_partition_guid);
            let letters = letters.map(u16::from);
            let end = letters
                .iter()
                .position(|letter| *letter == 0)
                .unwrap_or(letters.len());
            if String::from_utf16_lossy(&letters[..end]) == name {
                return Ok(Self { handle, uuid });
            }
        }
        Err(Status::NOT_FOUND.into())
    }

    /// Its size, bytes.
    pub fn size(&self) -> uefi::Result<u64> {
        let device = shared::<BlockIO>(self.handle)?;
        let media = device.media();
        Ok((media.last_block() + 1) * u64::from(media.block_size()))
    }

    /// So many bytes from this offset on, both multiples of the disk's blocks.
    pub fn read(&self, offset: u64, length: usize) -> uefi::Result<Aligned> {
        let mut device = shared::<BlockIO>(self.handle)?;
        let (medium, block) = place(&device, offset);
        let mut bytes = Aligned::new(length);
        device.read_blocks(medium, block, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes these bytes, and waits until the disk has them.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> uefi::Result {
        let mut device = shared::<BlockIO>(self.handle)?;
        let (medium, block) = place(&device, offset);
        let mut aligned = Aligned::new(bytes.len());
        aligned.copy_from_slice(bytes);
        device.write_blocks(medium, block, &aligned)?;
        device.flush_blocks()
    }
}

/// The medium in a device, and which of its blocks begins at this offset.
fn place(device: &BlockIO, offset: u64) -> (u32, u64) {
    let media = device.media();
    (media.media_id(), offset / u64::from(media.block_size()).max(1))
}

/// Bytes that begin at a page: disks may ask for an alignment of theirs (UEFI 2.10, 13.9, `IoAlign`), none for more.
pub struct Aligned {
    room: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        const PAGE: usize = 4096;
        let room = vec![0; length + PAGE];
        let start = room.as_ptr().align_offset(PAGE);
        Self { room, start, length }
    }
}

impl Deref for Aligned {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.room[self.start..][..self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..][..self.length]
    }
}

/// The path of the disk on which a partition lies: the partition's own without its last part.
fn disk_of(partition: Handle) -> uefi::Result<Vec<u8>> {
    let path = shared::<DevicePath>(partition)?;
    let mut disk = Vec::new();
    for node in path.node_iter() {
        if node.device_type() == DeviceType::MEDIA {
            return Ok(disk);
        }
        disk.extend([node.device_type().0, node.sub_type().0]);
        disk.extend(node.data());
    }
    Err(Status::NOT_FOUND.into())
}

/// A protocol beside those who use it already: the firmware's own file systems have these open, too.
#[expect(
    unsafe_code,
    reason = "the handle is not closed while this program looks at it"
)]
fn shared<P: uefi::proto::ProtocolPointer + ?Sized>(handle: Handle) -> uefi::Result<ScopedProtocol<P>> {
    let params = boot::OpenProtocolParams {
        handle,
        agent: boot::image_handle(),
        controller: None,
    };
    // SAFETY: no disk is taken out and no driver unloaded between opening and the end of this scope.
    unsafe { boot::open_protocol(params, boot::OpenProtocolAttributes::GetProtocol) }
}
