//! Partitions of the disk that this program was started from, by their names. A stick that carries the same names is
//! never looked at.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

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

    /// So many bytes from this offset on, both multiples of the disk's blocks; to the partition's end without a length.
    pub fn read(&self, offset: u64, length: Option<usize>) -> uefi::Result<Vec<u8>> {
        let mut device = shared::<BlockIO>(self.handle)?;
        let media = device.media();
        let (id, block) = (media.media_id(), u64::from(media.block_size()).max(1));
        let all = (media.last_block() + 1) * block - offset;
        let length = match length {
            Some(length) => length,
            None => usize::try_from(all).map_err(|_| Status::BAD_BUFFER_SIZE)?,
        };
        let mut bytes = vec![0; length];
        device.read_blocks(id, offset / block, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes these bytes, and waits until the disk has them.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> uefi::Result {
        let mut device = shared::<BlockIO>(self.handle)?;
        let media = device.media();
        let (id, block) = (media.media_id(), u64::from(media.block_size()).max(1));
        device.write_blocks(id, offset / block, bytes)?;
        device.flush_blocks()
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
