// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.Closeable;
import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.RawIo;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;

/**
 * The engine's memory: a folder with a small text file for each device, {@code MINOR.device}.
 *
 * <p>A file is replaced as a whole: written beside, synced, renamed over, and the folder synced. So after a power cut or a
 * kill it is the old one or the new one. A lock on {@code lock} keeps a second engine away.
 */
final class StateDirectory implements DeviceStore, Closeable {
    /** How the complaint begins that another engine has the folder. */
    static final String TAKEN = "another engine";

    private static final String SUFFIX = ".device";

    private final Path folder;
    private final FileChannel lockFile;

    private StateDirectory(Path folder, FileChannel lockFile) {
        this.folder = folder;
        this.lockFile = lockFile;
    }

    /**
     * Opens and locks the folder; makes it if need be, for this user alone.
     *
     * @throws IOException when another engine has it, or it can't be made or written
     */
    static StateDirectory open(Path folder) throws IOException {
        make(folder);
        FileChannel lockFile;
        try {
            lockFile = FileChannel.open(
                    folder.resolve("lock"),
                    StandardOpenOption.CREATE,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE);
        } catch (FileSystemException e) {
            throw unusable(folder, e);
        }
        FileLock lock = lockFile.tryLock();
        if (lock == null) {
            ByteBuffer pid = ByteBuffer.allocate(32);
            lockFile.read(pid, 0);
            lockFile.close();
            throw new IOException(TAKEN + " (process "
                    + new String(pid.array(), 0, pid.position(), StandardCharsets.UTF_8).trim() + ") has its state in "
                    + folder);
        }
        lockFile.truncate(0);
        lockFile.write(ByteBuffer.wrap((ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.UTF_8)), 0);
        return new StateDirectory(folder, lockFile);
    }

    /** Makes the folder if need be, for this user alone. */
    static void make(Path folder) throws IOException {
        try {
            Files.createDirectories(
                    folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        } catch (FileSystemException e) {
            throw unusable(folder, e);
        }
    }

    private static IOException unusable(Path folder, FileSystemException e) {
        String why = e.getReason();
        if (why == null) {
            // Some of these say what is wrong by their kind alone.
            why = e instanceof FileAlreadyExistsException
                    ? e.getFile() + " is not a folder"
                    : e instanceof AccessDeniedException ? "permission denied" : "can't be made";
        }
        return new IOException("state folder " + folder + ": " + why, e);
    }

    /**
     * What was remembered.
     *
     * @param unreadableMinors those of files that are left alone, which must stay free
     */
    record Remembered(List<DeviceRecord> devices, Set<Integer> unreadableMinors) {}

    /** Reads what was remembered. A file that makes no sense stays where it is, and the log names it. */
    Remembered load(EngineLog log) throws IOException {
        TreeMap<Integer, Path> byMinor = new TreeMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*" + SUFFIX)) {
            for (Path file : files) {
                String number = file.getFileName().toString().replace(SUFFIX, "");
                if (number.matches("0|[1-9][0-9]{0,6}")) {
                    byMinor.put(Integer.parseInt(number), file);
                } else {
                    log.error(file + " is left alone: its name is not that of a device's minor number");
                }
            }
        }
        Remembered remembered = new Remembered(new ArrayList<>(), new HashSet<>());
        byMinor.forEach((minor, file) -> {
            try {
                DeviceRecord record = DeviceFile.parse(Files.readString(file));
                check(record, minor, remembered.devices);
                remembered.devices.add(record);
            } catch (IOException e) {
                String why = e instanceof CharacterCodingException ? "it is not text" : e.getMessage();
                log.error(file + " is left alone: " + why);
                remembered.unreadableMinors.add(minor);
            }
        });
        return remembered;
    }

    private static void check(DeviceRecord record, int minor, List<DeviceRecord> others) throws IOException {
        if (record.minor() != minor) {
            throw new IOException("it says minor " + record.minor());
        }
        DeviceRegistry.checkIdentity(record.name(), record.uuid());
        for (DeviceRecord other : others) {
            if (other.name().equals(record.name())
                    || !record.uuid().isEmpty() && other.uuid().equals(record.uuid())) {
                throw new IOException("minor " + other.minor() + " has the same name or uuid");
            }
        }
    }

    @Override
    public synchronized void save(DeviceRecord record) throws IOException {
        Path file = file(record.minor());
        Path fresh = folder.resolve(record.minor() + ".new");
        requireOpen();
        try {
            writeNew(fresh, DeviceFile.format(record).getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            Files.deleteIfExists(fresh);
            throw e;
        }
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        syncFolder();
    }

    /** Not by a channel, which does not tell that it is space that is missing. */
    private static void writeNew(Path file, byte[] text) throws IOException {
        ByteBuffer direct = ByteBuffer.allocateDirect(text.length).put(text).flip();
        int fd = FileDescriptors.create(file.toString(), 0600);
        try {
            while (direct.hasRemaining()) {
                int at = direct.position();
                long n = RawIo.pwrite(fd, RawIo.address(direct) + at, direct.remaining(), at);
                if (n <= 0 && n != -Errno.EINTR.number()) {
                    throw new ErrnoException("write of " + file, (int) -n);
                }
                direct.position(at + (int) Math.max(0, n));
            }
            FileDescriptors.sync(fd);
        } finally {
            FileDescriptors.close(fd);
            Reference.reachabilityFence(direct);
        }
    }

    /** Without the lock the files may be another engine's. */
    private void requireOpen() throws IOException {
        if (!lockFile.isOpen()) {
            throw new IOException("the engine has stopped");
        }
    }

    @Override
    public synchronized void delete(int minor) throws IOException {
        requireOpen();
        try {
            Files.delete(file(minor));
            syncFolder();
        } catch (NoSuchFileException e) {
            // It was never saved, and is not there to come back: what was wanted.
            return;
        }
    }

    private Path file(int minor) {
        return folder.resolve(minor + SUFFIX);
    }

    private void syncFolder() throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    @Override
    public synchronized void close() throws IOException {
        lockFile.close();
    }
}
