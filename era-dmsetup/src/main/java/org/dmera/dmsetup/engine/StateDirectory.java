// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.dmera.core.file.FileClaim;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.NativeText;
import org.dmera.core.linux.TrustedFolder;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.targets.Failures;

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
    private static final String LOCK = "lock";

    private static final String FRESH_SUFFIX = ".new";
    private static final Pattern UNFINISHED = Pattern.compile("[0-9]{1,7}\\" + FRESH_SUFFIX);

    private final Path folder;
    private final StateFiles files;
    private final FileChannel lockFile;
    /** The text of each device, as it is on disk for good. */
    private final Map<Integer, byte[]> durable = new HashMap<>();

    private StateDirectory(Path folder, StateFiles files, FileChannel lockFile) {
        this.folder = folder;
        this.files = files;
        this.lockFile = lockFile;
    }

    /**
     * Opens and locks the folder; makes it if need be, for this user alone.
     *
     * @throws IOException when another engine has it, or it can't be made or written
     */
    static StateDirectory open(Path folder) throws IOException {
        make(folder);
        return open(folder, new StateFiles(folder));
    }

    /** The same for a folder that is there, by way of {@code files}, which are closed with this or when this throws. */
    static StateDirectory open(Path folder, StateFiles files) throws IOException {
        try {
            return Failures.takingBack(files::closeFolder, () -> {
                FileChannel lockFile = FileChannel.open(
                        files.path(LOCK), StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
                return Failures.takingBack(lockFile::close, () -> {
                    lock(folder, lockFile);
                    return new StateDirectory(folder, files, lockFile);
                });
            });
        } catch (FileSystemException e) {
            throw unusable(folder, e);
        }
    }

    private static void lock(Path folder, FileChannel lockFile) throws IOException {
        if (!FileClaim.takeForWriting(lockFile, folder.resolve(LOCK))) {
            ByteBuffer pid = ByteBuffer.allocate(32);
            lockFile.read(pid, 0);
            throw new IOException(TAKEN + " (process "
                    + new String(pid.array(), 0, pid.position(), StandardCharsets.UTF_8).trim() + ") has its state in "
                    + folder);
        }
        long earlier = OpenFiles.holderOfDeleted(folder.toRealPath().resolve(LOCK));
        if (earlier >= 0) {
            throw new IOException(
                    "state folder " + folder + " was removed and made again, and the engine that had it, process "
                            + earlier + ", still runs: stop that first");
        }
        try {
            lockFile.truncate(0);
            lockFile.write(ByteBuffer.wrap((ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.UTF_8)), 0);
        } catch (IOException e) {
            throw FileErrors.named(folder, e);
        }
    }

    /** Whether the engine that noted its number in the folder still runs; to be asked where another one was refused. */
    static boolean isHeld(Path folder) throws IOException {
        String pid = Files.readString(folder.resolve(LOCK)).strip();
        return pid.matches("[0-9]{1,18}")
                && ProcessHandle.of(Long.parseLong(pid))
                        .filter(ProcessHandle::isAlive)
                        .isPresent();
    }

    /** Makes the folder if need be, for this user alone. Who can write there decides what the engine opens and replaces. */
    static void make(Path folder) throws IOException {
        try {
            Folders.make(folder, Folders.PRIVATE);
            TrustedFolder.require(folder);
        } catch (FileSystemException e) {
            throw unusable(folder, e);
        } catch (IOException e) {
            throw new IOException("state folder " + folder + ": " + e.getMessage(), e);
        }
    }

    private static IOException unusable(Path folder, FileSystemException e) {
        String why = e.getReason();
        if (why == null) {
            // Some of these say what is wrong by their kind alone.
            why = e instanceof NotDirectoryException
                    ? e.getFile() + " is not a folder"
                    : e instanceof AccessDeniedException ? "permission denied" : "can't be made";
        }
        return new IOException("state folder " + folder + ": " + why, e);
    }

    /** What was remembered; {@code unreadableMinors} are those of files that are left alone, which must stay free. */
    record Remembered(List<DeviceRecord> devices, Set<Integer> unreadableMinors) {}

    /** Reads what was remembered. A file that makes no sense stays where it is, and the log names it. */
    Remembered load(EngineLog log) throws IOException {
        dropUnfinished(log);
        TreeMap<Integer, Path> byMinor = new TreeMap<>();
        for (Path file : Folders.entries(folder, "*" + SUFFIX)) {
            String number = file.getFileName().toString().replace(SUFFIX, "");
            if (number.matches("0|[1-9][0-9]{0,6}")) {
                byMinor.put(Integer.parseInt(number), file);
            } else {
                log.error(file + " is left alone: its name is not that of a device's minor number");
            }
        }
        Remembered remembered = new Remembered(new ArrayList<>(), new HashSet<>());
        byMinor.forEach((minor, file) -> {
            try {
                String text = Files.readString(file, NativeText.CHARSET);
                DeviceRecord record = DeviceFile.parse(text);
                check(record, minor, remembered.devices);
                remembered.devices.add(record);
                durable.put(minor, NativeText.bytes(text));
            } catch (IOException e) {
                log.error(file + " is left alone: " + e.getMessage());
                remembered.unreadableMinors.add(minor);
            }
        });
        return remembered;
    }

    /** What an engine that was killed had not renamed yet. Nobody would ever take it away when its device goes. */
    private void dropUnfinished(EngineLog log) throws IOException {
        for (Path file : Folders.entries(folder, "*" + FRESH_SUFFIX)) {
            String name = file.getFileName().toString();
            if (UNFINISHED.matcher(name).matches()) {
                try {
                    files.unlink(name);
                } catch (IOException e) {
                    log.error(file + ", which a killed engine left: " + e.getMessage());
                }
            }
        }
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
        requireOpen();
        byte[] text = NativeText.bytes(DeviceFile.format(record));
        replace(record.minor(), text);
        syncNames(record.minor());
        durable.put(record.minor(), text);
    }

    /** Writes the file beside, and renames it over; what was there stays when that fails. */
    private void replace(int minor, byte[] text) throws IOException {
        String fresh = minor + FRESH_SUFFIX;
        Failures.takingBack(() -> files.unlink(fresh), () -> {
            int file = files.create(fresh);
            try {
                files.write(file, text);
                files.sync(file);
            } finally {
                files.close(file);
            }
            files.rename(fresh, file(minor));
            return null;
        });
    }

    /**
     * Makes the name that was given or taken away durable. When that fails nobody knows whether it is, and whoever asked for it
     * hears of the failure: so what was there before is put back.
     */
    private void syncNames(int minor) throws IOException {
        byte[] before = durable.get(minor);
        Failures.Step undo = before == null ? () -> files.unlink(file(minor)) : () -> replace(minor, before);
        Failures.takingBack(undo, () -> {
            files.syncFolder();
            return null;
        });
    }

    /** Without the lock the files may be another engine's. */
    private void requireOpen() throws IOException {
        if (!lockFile.isOpen()) {
            throw new IOException("the engine has stopped");
        }
        files.requireInPlace();
    }

    @Override
    public synchronized void delete(int minor) throws IOException {
        requireOpen();
        try {
            files.unlink(file(minor));
        } catch (ErrnoException e) {
            if (!e.is(Errno.ENOENT)) {
                throw e;
            }
            if (!durable.containsKey(minor)) {
                // It was never saved, and is not there to come back: what was wanted.
                return;
            }
            // An earlier try took it away, and could neither make that durable nor put it back.
        }
        syncNames(minor);
        durable.remove(minor);
    }

    private static String file(int minor) {
        return minor + SUFFIX;
    }

    @Override
    public synchronized void close() throws IOException {
        if (lockFile.isOpen()) {
            try {
                lockFile.close();
            } finally {
                files.closeFolder();
            }
        }
    }
}
