// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;

/** Which mapped device sits on which device. */
final class DeviceGraph {
    private final Map<Long, String> names = new LinkedHashMap<>();
    private final Map<Long, List<Long>> below = new LinkedHashMap<>();

    private DeviceGraph() {}

    /** Asks device-mapper about every device. */
    static DeviceGraph read(Session session) throws IOException {
        DeviceGraph graph = new DeviceGraph();
        for (DeviceEntry entry : session.client().list()) {
            graph.names.put(entry.dev(), session.unmangle(entry.name()));
            graph.below.put(entry.dev(), dependencies(session, entry.dev()));
        }
        return graph;
    }

    /** What a device sits on: nothing, when it is gone in the meantime. */
    static List<Long> dependencies(Session session, long dev) throws IOException {
        try {
            return session.client().dependencies(DeviceId.ofNumber("", dev), session.has(Switch.INACTIVE));
        } catch (DmException e) {
            if (e.is(Errno.ENXIO)) {
                return List.of();
            }
            throw e;
        }
    }

    /** The devices in an order in which they can be made: what others sit on before them, else as they are. */
    static List<DeviceId> bottomUp(Session session, List<DeviceId> devices) throws IOException {
        DeviceGraph graph = read(session);
        Map<String, Long> numbers = new LinkedHashMap<>();
        for (DeviceEntry entry : session.client().list()) {
            numbers.put(entry.name(), entry.dev());
        }
        Map<Long, DeviceId> wanted = new LinkedHashMap<>();
        List<DeviceId> ordered = new ArrayList<>();
        for (DeviceId device : devices) {
            Long dev = numbers.get(device.name());
            if (dev == null) {
                // Gone already; whoever asks about it will say so.
                ordered.add(device);
            } else {
                wanted.put(dev, device);
            }
        }
        for (Long dev : List.copyOf(wanted.keySet())) {
            graph.addAfterWhatItSitsOn(dev, wanted, ordered);
        }
        return ordered;
    }

    private void addAfterWhatItSitsOn(Long dev, Map<Long, DeviceId> left, List<DeviceId> ordered) {
        DeviceId device = left.remove(dev);
        if (device != null) {
            for (Long beneath : below.getOrDefault(dev, List.of())) {
                addAfterWhatItSitsOn(beneath, left, ordered);
            }
            ordered.add(device);
        }
    }

    /** An empty one, for reports that show none of it. */
    static DeviceGraph none() {
        return new DeviceGraph();
    }

    List<Long> below(DeviceState state) {
        return below.getOrDefault(state.dev(), List.of());
    }

    List<Long> above(DeviceState state) {
        List<Long> above = new ArrayList<>();
        below.forEach((dev, beneath) -> {
            if (beneath.contains(state.dev())) {
                above.add(dev);
            }
        });
        return above;
    }

    /** The names of the mapped devices among {@code devs}. */
    String names(List<Long> devs) {
        return devs.stream().filter(names::containsKey).map(names::get).collect(Collectors.joining(","));
    }

    static String numbers(List<Long> devs) {
        return devs.stream().map(DevNumber::text).collect(Collectors.joining(","));
    }

    static String blockDeviceNames(List<Long> devs) {
        return devs.stream()
                .map(DeviceNames::blockDeviceName)
                .filter(Objects::nonNull)
                .collect(Collectors.joining(","));
    }
}
