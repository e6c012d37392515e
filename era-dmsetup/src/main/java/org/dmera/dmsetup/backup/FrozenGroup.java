// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.tools.backup.copy.OriginSource;

/**
 * Views of the devices of one call, all of one moment: that at which the first of them is wanted.
 *
 * <p>A view has a uuid that is made from its state file, whose lock the caller holds. So whatever a killed run has left has
 * the same, and is thawed by the next one, which need not know what it was called.
 */
final class FrozenGroup implements Backup.Views, Closeable {
    private final DmClient client;
    private final Path cow;
    private final List<DeviceId> members = new ArrayList<>();
    private final Map<EraDevice, String> uuids = new LinkedHashMap<>();
    /** Once they are frozen; those that are not thawed yet. */
    private final Map<EraDevice, DmClient.View> views = new LinkedHashMap<>();

    private boolean begun;
    /** Why there are no views, though they were wanted; else null. */
    private IOException failure;
    /** The view that is open; one at a time. */
    private NbdSource open;

    /** {@code cow}: where the engine keeps what is overwritten. */
    FrozenGroup(DmClient client, Path cow) {
        this.client = client;
        this.cow = cow;
    }

    /** Adds a device, before the first view is wanted. */
    void add(MappedEraDevice device, Path stateFile) throws IOException {
        members.add(device.id());
        // The next run may come to the folder by another path.
        String file = stateFile
                .toAbsolutePath()
                .getParent()
                .toRealPath()
                .resolve(stateFile.getFileName())
                .toString();
        uuids.put(device, "era-backup-" + UUID.nameUUIDFromBytes(NativeText.bytes(file)));
    }

    @Override
    public long begin(EraDevice device) throws IOException {
        if (!begun) {
            begun = true;
            try {
                freeze();
            } catch (IOException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
        return views.get(device).era();
    }

    private void freeze() throws IOException {
        for (String uuid : uuids.values()) {
            thaw(DeviceId.ofUuid(uuid));
        }
        List<DmClient.View> made;
        try {
            made = client.freeze(members, cow, true, List.copyOf(uuids.values()));
        } catch (DmException e) {
            throw new IOException(
                    "the engine can't freeze "
                            + String.join(
                                    ", ",
                                    uuids.keySet().stream().map(EraDevice::name).toList()) + " with --cow " + cow + ": "
                            + e.getMessage() + " (its log says why; --no-freeze goes without a view)",
                    e);
        }
        int i = 0;
        for (EraDevice device : uuids.keySet()) {
            views.put(device, made.get(i++));
        }
    }

    @Override
    public OriginSource open(EraDevice device) throws IOException {
        DeviceId view = DeviceId.ofUuid(uuids.get(device));
        open = new NbdSource(
                client.message(view, 0, "@uri"), device.origin(), () -> client.message(view, 0, "@failure"));
        return open;
    }

    @Override
    public void requireWhole(EraDevice device) throws IOException {
        open.flush();
    }

    /** The copy of {@code device} is made, or has failed. */
    void thaw(EraDevice device) throws IOException {
        if (views.remove(device) != null) {
            thaw(DeviceId.ofUuid(uuids.get(device)));
        }
    }

    /** Thaws a view, if there is one. */
    private void thaw(DeviceId view) throws IOException {
        // A connection that was just closed counts as an open for a moment.
        DmCall.of("thaw", DmCommand.DEV_REMOVE, view).patiently(true).runIfThere(client.control());
    }

    @Override
    public void close() throws IOException {
        Failures failures = new Failures();
        List.copyOf(views.keySet()).forEach(device -> failures.run(() -> thaw(device)));
        failures.throwFirst();
    }
}
