//! A VFS of SQLite's in front of the system's own, which tells a [`Disk`] of every change and lets it
//! say what fails. Syncs reach the disk alone: the real files stand for the system's cache.
//!
//! The only unsafe code of the crate, and part of its tests alone.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::slice;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::disk::Disk;

/// A registered VFS. Every connection that uses it must be closed before it is dropped.
pub(crate) struct Vfs {
    raw: *mut sqlite3_vfs,
    name: CString,
}

/// What `pAppData` points at.
struct Behind {
    system: *mut sqlite3_vfs,
    disk: Disk,
}

/// A file of ours; the system's own file follows it in memory.
#[repr(C)]
struct File {
    base: sqlite3_file,
    state: *mut FileState,
}

struct FileState {
    /// `None`: a temporary file, which the disk does not know.
    name: Option<String>,
    disk: Disk,
}

const FILE_BYTES: usize = size_of::<File>();

impl Vfs {
    pub(crate) fn register(name: &str, disk: Disk) -> Self {
        let name = CString::new(name).expect("a name without a zero");
        // SAFETY: SQLite's own VFS is registered by its initialisation and lives as long as the
        // process. The copy keeps its functions except those set here; they ignore the pAppData that
        // is replaced, but for xOpen, which gets the original.
        let raw = unsafe {
            assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
            let system = ffi::sqlite3_vfs_find(ptr::null());
            let behind = Box::into_raw(Box::new(Behind { system, disk }));
            let mut vfs = ptr::read(system);
            vfs.szOsFile += FILE_BYTES as c_int;
            vfs.zName = name.as_ptr();
            vfs.pNext = ptr::null_mut();
            vfs.pAppData = behind.cast();
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            let raw = Box::into_raw(Box::new(vfs));
            assert_eq!(ffi::sqlite3_vfs_register(raw, 0), ffi::SQLITE_OK);
            raw
        };
        Self { raw, name }
    }

    pub(crate) fn name(&self) -> String {
        self.name.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Vfs {
    fn drop(&mut self) {
        // SAFETY: both pointers come from Box::into_raw in `register`, and by the rule of this type no
        // connection uses them any more.
        unsafe {
            ffi::sqlite3_vfs_unregister(self.raw);
            let vfs = Box::from_raw(self.raw);
            drop(Box::from_raw(vfs.pAppData.cast::<Behind>()));
        }
    }
}

/// The last part of a path: all files lie in one folder.
///
/// # Safety
/// `path` is null or a string that ends with zero.
unsafe fn file_name(path: *const c_char) -> Option<String> {
    if path.is_null() {
        return None;
    }
    // SAFETY: by the rule of this function.
    let path = unsafe { CStr::from_ptr(path) }.to_str().expect("UTF-8");
    path.rsplit('/').next().map(str::to_owned)
}

/// # Safety
/// `vfs` is the one of a registered [`Vfs`].
unsafe fn behind<'a>(vfs: *mut sqlite3_vfs) -> &'a Behind {
    // SAFETY: by the rule of this function pAppData points at a Behind that lives as long as the VFS.
    unsafe { &*(*vfs).pAppData.cast::<Behind>() }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with our VFS, a path or null, and szOsFile bytes at `file`.
    unsafe {
        let Behind { system, disk } = behind(vfs);
        let name = file_name(path);
        (*file).pMethods = ptr::null();
        if let Some(name) = &name {
            let code = disk.open(name);
            if code != ffi::SQLITE_OK {
                return code;
            }
        }
        let inner = inner(file);
        let open = (**system).xOpen.expect("every VFS opens");
        let code = open(*system, path, inner, flags, out_flags);
        if code == ffi::SQLITE_OK {
            let state = Box::new(FileState { name, disk: disk.clone() });
            (*file.cast::<File>()).state = Box::into_raw(state);
            (*file).pMethods = &raw const METHODS;
        }
        code
    }
}

unsafe extern "C" fn delete(
    vfs: *mut sqlite3_vfs,
    path: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite calls this with our VFS and a path.
    unsafe {
        let Behind { system, disk } = behind(vfs);
        let name = file_name(path).unwrap_or_default();
        match disk.delete(&name) {
            ffi::SQLITE_OK => {
                ((**system).xDelete.expect("every VFS deletes"))(*system, path, sync_folder)
            }
            code => code,
        }
    }
}

/// # Safety
/// `file` has szOsFile bytes of our VFS.
unsafe fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the system's file lies behind ours in the same allocation, whose size is a multiple of
    // the alignment of a pointer.
    unsafe { file.cast::<u8>().add(FILE_BYTES).cast() }
}

/// # Safety
/// `file` was opened by [`open`].
unsafe fn state<'a>(file: *mut sqlite3_file) -> &'a FileState {
    // SAFETY: by the rule of this function the pointer was set by `open` and is freed by `close` alone.
    unsafe { &*(*file.cast::<File>()).state }
}

/// Calls a method of the system's file.
macro_rules! forward {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        let inner = inner($file);
        ((*(*inner).pMethods).$method.expect("a method of the system's files"))(inner $(, $argument)*)
    }};
}

/// Asks the disk first, where it knows the file.
macro_rules! ask {
    ($file:ident, |$disk:ident, $name:ident| $ask:expr) => {{
        let FileState { name, disk: $disk } = state($file);
        let code = name.as_deref().map_or(ffi::SQLITE_OK, |$name| $ask);
        if code != ffi::SQLITE_OK {
            return code;
        }
    }};
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // 2: with shared memory, without memory-mapped reads, which no shim could see.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

// SAFETY of all methods: SQLite calls them with a file that `open` has opened and not yet closed, and
// with buffers of the lengths that it names.

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: see above; the state came from Box::into_raw, and nothing uses the file after this.
    unsafe {
        let code = forward!(file, xClose);
        drop(Box::from_raw((*file.cast::<File>()).state));
        code
    }
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: see above.
    unsafe {
        ask!(file, |disk, _name| disk.read());
        forward!(file, xRead, buffer, amount, offset)
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: see above.
    unsafe {
        let bytes = slice::from_raw_parts(buffer.cast::<u8>(), amount as usize);
        ask!(file, |disk, name| disk.write(name, offset as usize, bytes));
        forward!(file, xWrite, buffer, amount, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: see above.
    unsafe {
        ask!(file, |disk, name| disk.truncate(name, size as usize));
        forward!(file, xTruncate, size)
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: see above.
    unsafe {
        ask!(file, |disk, name| disk.sync(name));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xFileSize, size) }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xLock, level) }
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xCheckReservedLock, out) }
}

unsafe extern "C" fn file_control(
    file: *mut sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    page_size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xShmMap, page, page_size, extend, out) }
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xShmLock, offset, count, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: see above.
    unsafe { forward!(file, xShmBarrier) }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { forward!(file, xShmUnmap, delete) }
}
