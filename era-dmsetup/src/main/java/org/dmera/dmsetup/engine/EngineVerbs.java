// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.control.EngineVerb;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.Attacher;
import org.dmera.dmsetup.export.NbdUri;
import org.dmera.dmsetup.targets.EraTarget;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.FrozenTarget;

/** The engine's own messages to a device, which {@code era-dmsetup}'s own commands send. */
final class EngineVerbs {
    private EngineVerbs() {}

    private interface OneWord {
        String run(MappedDevice device, long sector) throws IOException;
    }

    static Map<String, EngineVerb> all(Path nbdSocket, Attacher attacher, Freezer freezer, EngineLog log) {
        return Map.of(
                "@attach", oneWord((device, sector) -> attach(attacher, device, log)),
                "@detach", oneWord((device, sector) -> detach(attacher, device)),
                "@makeway", oneWord((device, sector) -> makeWay(attacher, device)),
                "@uri", oneWord((device, sector) -> NbdUri.of(nbdSocket, device.name())),
                "@failure", oneWord(EngineVerbs::failure),
                "@marked", oneWord(EngineVerbs::marked),
                "@freeze", (device, sector, arguments) -> freezer.freeze(arguments));
    }

    private static EngineVerb oneWord(OneWord verb) {
        return (device, sector, arguments) -> {
            if (!arguments.isEmpty()) {
                throw new ErrnoException(
                        "a message with words that it does not have: " + String.join(" ", arguments), Errno.EINVAL);
            }
            return verb.run(device, sector);
        };
    }

    /** Attaches, now and after every restart. */
    private static String attach(Attacher attacher, MappedDevice device, EngineLog log) throws IOException {
        if (!device.hasLive()) {
            throw new ErrnoException("attach " + device + ", which has no live table", Errno.ENXIO);
        }
        if (device.isSuspended()) {
            // The node is read while it is made, which would hold up every other node.
            throw new ErrnoException("attach " + device + ", which is suspended", Errno.EBUSY);
        }
        String node;
        try {
            node = attacher.attach(device);
        } catch (IOException e) {
            // The client gets the errno alone, and there are many steps that can fail.
            log.error("attach " + device + ": " + e.getMessage());
            throw e;
        }
        // A node that the next start would not bring back is none.
        return Failures.takingBack(() -> attacher.detach(device), () -> {
            device.setAttached(true);
            return node;
        });
    }

    /** Takes the node away, for good; when that is refused, both the node and what is remembered stay. */
    private static String detach(Attacher attacher, MappedDevice device) throws IOException {
        boolean wasAttached = device.isAttached();
        device.setAttached(false);
        return Failures.takingBack(() -> device.setAttached(wasAttached), () -> {
            attacher.detach(device);
            return "";
        });
    }

    private static String makeWay(Attacher attacher, MappedDevice device) throws IOException {
        attacher.makeWay(device);
        return "";
    }

    /** Why an era target's status is {@code Error}, or how a view was lost; empty when it is not. */
    private static String failure(MappedDevice device, long sector) throws IOException {
        return device.onTarget(sector, target -> {
            String failure = target instanceof EraTarget era
                    ? era.failure()
                    : target instanceof FrozenTarget frozen ? frozen.view().failure() : null;
            return failure == null ? "" : failure;
        });
    }

    /** How many blocks of an era target are marked in its current era. */
    private static String marked(MappedDevice device, long sector) throws IOException {
        return device.onTarget(sector, target -> {
            if (target instanceof EraTarget era) {
                return Long.toString(era.markedBlocks());
            }
            throw new ErrnoException("@marked: no era target at sector " + sector, Errno.EINVAL);
        });
    }
}
