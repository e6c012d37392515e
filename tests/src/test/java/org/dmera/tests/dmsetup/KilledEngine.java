// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.linux.Errno;
import org.dmera.core.read.MetadataRoots;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.control.SocketControl;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.tests.io.WireClient;

/**
 * An engine that is killed again and again, the program itself, with the files beneath its devices: what it is asked for by its
 * socket, what can be seen of all of its devices, what was acknowledged, and what a kill may not leave behind.
 */
final class KilledEngine {
    /** In what is seen of a device whose removal is deferred. */
    static final String DEFERRED = " deferred";

    static final int BLOCK_BYTES = 4096;
    private static final int SECTORS = 2048;
    private static final int METADATA_SECTORS = 8192;
    private static final int WRITTEN_BLOCK = 5;
    private static final List<String> ORIGINS = List.of("a", "b", "c");
    private static final List<String> METADATA = List.of("m", "n");
    private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(60);

    final Program program;
    /** The names of devices, which are those of links in /dev as well. */
    final String vol;

    final String other;

    private Process engine;
    private DmClient client;
    private WireClient user;
    private boolean mounted;
    /** For each file of metadata the blocks that were acknowledged as written, with the era that they have or a later one. */
    private final Map<String, Map<Integer, Long>> written = new TreeMap<>();
    /** The last era that was told of each file of metadata. */
    private final Map<String, Long> eras = new TreeMap<>();

    KilledEngine(Path folder, String vol) throws Exception {
        program = new Program(folder);
        this.vol = vol;
        other = vol + "-other";
        start();
    }

    /** A table of one target. */
    static List<TargetSpec> table(String type, String params) {
        return List.of(new TargetSpec(0, SECTORS, type, params));
    }

    List<TargetSpec> linear(String origin) {
        return table("linear", program.folder.resolve(origin) + " 0");
    }

    List<TargetSpec> era(String metadata, String origin) {
        return table("era", program.folder.resolve(metadata) + " " + program.folder.resolve(origin) + " 8");
    }

    /** The files as for the first time: every origin says in every block which it is. */
    void freshFiles() throws IOException {
        for (String origin : ORIGINS) {
            byte[] content = new byte[SECTORS * 512];
            Arrays.fill(content, origin.getBytes(StandardCharsets.US_ASCII)[0]);
            Files.write(program.folder.resolve(origin), content);
        }
        for (String metadata : METADATA) {
            Files.deleteIfExists(program.folder.resolve(metadata));
            program.file(metadata, METADATA_SECTORS);
        }
        written.clear();
        eras.clear();
    }

    /** Starts the engine, and waits until it answers. */
    void start() throws Exception {
        Path log = program.folder.resolve("log");
        engine = program.beginEngine(log);
        long deadline = System.nanoTime() + LIMIT_NANOS;
        while (true) {
            try {
                client = new DmClient(SocketControl.connect(program.socket));
                client.version();
                return;
            } catch (IOException e) {
                assertTrue(engine.isAlive() && System.nanoTime() < deadline, () -> "no engine: " + read(log));
                LockSupport.parkNanos(10_000_000);
            }
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** What the engine that was started last has logged. */
    String log() {
        return read(program.folder.resolve("log"));
    }

    ProcessHandle process() {
        return engine.toHandle();
    }

    /** Kills the engine if it isn't dead yet, and waits for its end. */
    void kill() throws Exception {
        engine.destroyForcibly();
        assertTrue(engine.waitFor(LIMIT_NANOS, TimeUnit.NANOSECONDS), "a killed engine does not end");
        client.close();
        if (user != null) {
            user.close();
            user = null;
        }
    }

    // What is asked for.

    void create(String name, String uuid) throws IOException {
        DmCall.of("create", DmCommand.DEV_CREATE, new DeviceId(name, uuid, -1, -1))
                .run(client.control());
    }

    void load(String name, List<TargetSpec> table) throws IOException {
        call("reload", DmCommand.TABLE_LOAD, name).table(table).run(client.control());
    }

    void clear(String name) throws IOException {
        call("clear", DmCommand.TABLE_CLEAR, name).run(client.control());
    }

    void suspend(String name) throws IOException {
        call("suspend", DmCommand.DEV_SUSPEND, name).flag(DmFlags.SUSPEND, true).run(client.control());
    }

    void resume(String name) throws IOException {
        call("resume", DmCommand.DEV_SUSPEND, name).run(client.control());
    }

    void rename(String name, String to) throws IOException {
        call("rename", DmCommand.DEV_RENAME, name).text(to).run(client.control());
    }

    void setUuid(String name, String uuid) throws IOException {
        call("rename", DmCommand.DEV_RENAME, name)
                .flag(DmFlags.UUID, true)
                .text(uuid)
                .run(client.control());
    }

    void remove(String name, boolean deferred) throws IOException {
        call("remove", DmCommand.DEV_REMOVE, name)
                .flag(DmFlags.DEFERRED_REMOVE, deferred)
                .run(client.control());
    }

    String message(String name, String text) throws IOException {
        return client.message(DeviceId.ofName(name), 0, text);
    }

    private static DmCall call(String task, DmCommand command, String name) {
        return DmCall.of(task, command, DeviceId.ofName(name));
    }

    /** A new era, and which. */
    void checkpoint(String name) throws IOException {
        message(name, "checkpoint");
        learnEra(name);
    }

    /** Has the device open, until {@link #endUse}. */
    void use(String name) throws IOException {
        user = WireClient.open(nbdSocket(), name);
    }

    /** Closes it, and waits until the device is gone. */
    void endUse(String name) throws IOException {
        if (user != null) {
            user.close();
            user = null;
        }
        awaitGone(name);
    }

    /** Waits until the device is gone. */
    void awaitGone(String name) throws IOException {
        long deadline = System.nanoTime() + LIMIT_NANOS;
        while (client.exists(DeviceId.ofName(name))) {
            assertTrue(System.nanoTime() < deadline, name + " stays");
            LockSupport.parkNanos(5_000_000);
        }
    }

    /** Attaches the device, and mounts a new file system from its node. */
    void mount(String name) throws Exception {
        String node = message(name, "@attach");
        run("mkfs.ext4", "-q", "-F", node);
        Files.createDirectories(mountPoint());
        run("mount", node, mountPoint().toString());
        mounted = true;
    }

    private Path mountPoint() {
        return program.folder.resolve("mnt");
    }

    /** Unmounts what is mounted, if anything is; fails when its users wait for ever, as for one that stays frozen. */
    void unmount() throws Exception {
        if (mounted) {
            mounted = false;
            // On the node of an engine that was killed it gets an error.
            Process touch = new ProcessBuilder(
                            "touch", mountPoint().resolve("file").toString())
                    .redirectErrorStream(true)
                    .start();
            boolean goesOn = touch.waitFor(LIMIT_NANOS, TimeUnit.NANOSECONDS);
            run("umount", mountPoint().toString());
            assertTrue(goesOn, "who writes to the mounted file system waits for ever");
        }
    }

    private void run(String... command) throws Exception {
        program.run(List.of(command)).ok();
    }

    private Path nbdSocket() {
        return Path.of(program.socket + ".nbd");
    }

    /** Writes a block by NBD. */
    void write(String name, char with) throws IOException {
        String metadata = metadataOf(name);
        long era = metadata == null ? 0 : eras.getOrDefault(metadata, 0L);
        byte[] data = new byte[BLOCK_BYTES];
        Arrays.fill(data, (byte) with);
        try (WireClient writer = WireClient.open(nbdSocket(), name)) {
            assertEquals(0, writer.write((long) WRITTEN_BLOCK * BLOCK_BYTES, data), "the write is refused");
        }
        if (metadata != null) {
            written.computeIfAbsent(metadata, any -> new TreeMap<>()).merge(WRITTEN_BLOCK, era, Math::max);
        }
    }

    /** The file of metadata beneath the device's live table, or null. */
    private String metadataOf(String name) throws IOException {
        for (TargetSpec line : client.table(DeviceId.ofName(name))) {
            if (line.type().equals("era")) {
                return Path.of(line.params().split(" ", 2)[0]).getFileName().toString();
            }
        }
        return null;
    }

    /** Asks in which era the device is. */
    void learnEra(String name) throws IOException {
        eras.put(metadataOf(name), client.eraStatus(DeviceId.ofName(name)).currentEra());
    }

    /**
     * Fails for metadata in a killed engine's files, or a running one's that is committed, which is damaged or lacks a write
     * that was acknowledged, or an era.
     */
    void checkMetadata() throws IOException {
        for (String metadata : METADATA) {
            byte[] bytes = Files.readAllBytes(program.folder.resolve(metadata));
            if (isBlank(bytes)) {
                assertTrue(!written.containsKey(metadata), () -> metadata + " is blank");
                continue;
            }
            MemoryBlockDevice device = new MemoryBlockDevice(bytes);
            CheckReport report = MetadataChecker.check(device);
            assertTrue(report.isClean(), () -> metadata + ": " + report);
            MetadataRoots roots = MetadataRoots.read(device);
            long era = eras.getOrDefault(metadata, 0L);
            assertTrue(
                    roots.currentEra() >= era, () -> metadata + " is in era " + roots.currentEra() + " after " + era);
            for (Map.Entry<Integer, Long> write :
                    written.getOrDefault(metadata, Map.of()).entrySet()) {
                BlockSet changed = ChangedBlocks.since(device, roots, Math.max(1, write.getValue()));
                assertTrue(
                        changed.contains(write.getKey()),
                        () -> metadata + " forgets that block " + write.getKey() + " was written in era "
                                + write.getValue());
            }
        }
    }

    private static boolean isBlank(byte[] bytes) {
        for (int i = 0; i < BLOCK_BYTES; i++) {
            if (bytes[i] != 0) {
                return false;
            }
        }
        return true;
    }

    // What can be seen.

    /** All devices: names, state, both tables, what clients read, nodes, snapshots of metadata. */
    String seen() throws IOException {
        StringBuilder seen = new StringBuilder();
        for (DeviceEntry entry : client.list()) {
            describe(entry.name(), seen);
        }
        return seen.append(links()).toString().replace(program.folder.toString(), "FOLDER");
    }

    private void describe(String name, StringBuilder to) throws IOException {
        DeviceId device = DeviceId.ofName(name);
        DmIoctl info = client.info(device);
        boolean suspended = info.has(DmFlags.SUSPEND);
        boolean live = info.has(DmFlags.ACTIVE_PRESENT);
        to.append(name).append(" uuid=").append(info.uuid()).append(suspended ? " suspended" : "");
        to.append(info.has(DmFlags.DEFERRED_REMOVE) ? DEFERRED : "").append('\n');
        for (TargetSpec line : client.table(device)) {
            to.append("  live ").append(line.line()).append('\n');
        }
        DmIoctl inactive = DmCall.of("table", DmCommand.TABLE_STATUS, device)
                .flag(DmFlags.STATUS_TABLE | DmFlags.QUERY_INACTIVE_TABLE, true)
                .run(client.control());
        for (TargetSpec line : TargetSpec.decodeAnswer(inactive)) {
            to.append("  inactive ").append(line.line()).append('\n');
        }
        if (live && !suspended) {
            to.append("  reads ").append(contents(name)).append('\n');
        }
        if (live && metadataOf(name) != null) {
            to.append("  snapshot ")
                    .append(client.eraStatus(device).snapshotBlock() >= 0)
                    .append('\n');
        }
    }

    /** The first byte of two blocks, as a client reads them. */
    private String contents(String name) throws IOException {
        int opens = opens(name);
        String contents;
        try (WireClient reader = WireClient.open(nbdSocket(), name)) {
            byte[] first = reader.read(0, 512);
            byte[] second = reader.read((long) WRITTEN_BLOCK * BLOCK_BYTES, 512);
            assertNotNull(first, "a read fails");
            assertNotNull(second, "a read fails");
            contents = "" + (char) first[0] + (char) second[0];
        }
        awaitOpens(name, opens);
        return contents;
    }

    private int opens(String name) throws IOException {
        return client.info(DeviceId.ofName(name)).openCount();
    }

    /** Waits until the engine knows that a client is gone, which would keep the device from being removed. */
    void awaitOpens(String name, int opens) throws IOException {
        long deadline = System.nanoTime() + LIMIT_NANOS;
        while (opens(name) > opens) {
            assertTrue(System.nanoTime() < deadline, () -> name + " stays open");
            LockSupport.parkNanos(1_000_000);
        }
    }

    /** The links in /dev of our devices, but for suspended ones, and what is read by them past the page cache. */
    private String links() throws IOException {
        StringBuilder links = new StringBuilder();
        for (Path folder : List.of(Path.of("/dev/mapper"), Path.of("/dev/era"))) {
            if (!Files.isDirectory(folder)) {
                continue;
            }
            try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, vol + "*")) {
                for (Path link : found) {
                    String name = link.getFileName().toString();
                    // After a restart a suspended device gets its node when it is resumed.
                    if (!client.exists(DeviceId.ofName(name))
                            || !client.info(DeviceId.ofName(name)).has(DmFlags.SUSPEND)) {
                        links.append("node ").append(name).append(" reads ");
                        links.append(nodeContents(link)).append('\n');
                    }
                }
            }
        }
        return links.toString();
    }

    private static String nodeContents(Path link) {
        try (FileChannel node =
                FileChannel.open(link.toRealPath(), StandardOpenOption.READ, ExtendedOpenOption.DIRECT)) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(2 * BLOCK_BYTES).alignedSlice(BLOCK_BYTES);
            StringBuilder read = new StringBuilder();
            for (long block : new long[] {0, WRITTEN_BLOCK}) {
                buffer.clear().limit(BLOCK_BYTES);
                int n = node.read(buffer, block * BLOCK_BYTES);
                read.append(n > 0 ? (char) buffer.get(0) : '-');
            }
            return read.toString();
        } catch (IOException e) {
            return "nothing: " + e;
        }
    }

    // What is left.

    /** Removes every device, and fails when anything else of theirs stays. */
    void removeAll() throws Exception {
        unmount();
        if (user != null) {
            user.close();
            user = null;
        }
        long deadline = System.nanoTime() + LIMIT_NANOS;
        for (List<DeviceEntry> devices = client.list(); !devices.isEmpty(); devices = client.list()) {
            for (DeviceEntry device : devices) {
                try {
                    remove(device.name(), false);
                } catch (DmException e) {
                    // EIO: what a node's page cache held is lost, and that is told once.
                    boolean passes = e.is(Errno.EBUSY) || e.is(Errno.EIO);
                    assertTrue(
                            passes && System.nanoTime() < deadline || e.is(Errno.ENXIO),
                            () -> device.name() + ": " + e.getMessage());
                    LockSupport.parkNanos(5_000_000);
                }
            }
        }
        assertEquals("", links(), "links");
        assertEquals(List.of(), in(Path.of(program.socket + ".attached")), "notes");
        assertEquals(
                List.of(),
                in(program.state).stream()
                        .filter(name -> !name.equals("lock") && !name.equals("engine.log"))
                        .toList(),
                "remembered");
        List<String> mounts = Files.readAllLines(Path.of("/proc/self/mounts")).stream()
                .filter(mount -> mount.contains(program.folder.toString()))
                .toList();
        assertEquals(List.of(), mounts, "mounts");
        assertEquals(List.of(), loops(deadline), "loop devices");
    }

    private static List<String> in(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    /** The loop devices over files of ours; those that are about to go are waited for. */
    private List<String> loops(long deadline) throws IOException {
        while (true) {
            List<String> ours = new ArrayList<>();
            try (DirectoryStream<Path> loops = Files.newDirectoryStream(Path.of("/sys/block"), "loop*")) {
                for (Path loop : loops) {
                    Path file = loop.resolve("loop/backing_file");
                    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)
                            && read(file).contains(program.folder.toString())) {
                        ours.add(loop.getFileName().toString());
                    }
                }
            }
            if (ours.isEmpty() || System.nanoTime() > deadline) {
                return ours;
            }
            LockSupport.parkNanos(20_000_000);
        }
    }

    /** Stops the engine in order, so that nodes go. */
    void stop() throws Exception {
        client.close();
        engine.destroy();
        if (!engine.waitFor(LIMIT_NANOS, TimeUnit.NANOSECONDS)) {
            kill();
            throw new AssertionError("the engine does not end: " + log());
        }
    }
}
