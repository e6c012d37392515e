// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.core.block.MemoryBlockDevice;

/** Replays a recorded sequence of operations on our engine, step by step, and shows what came of it to a listener. */
public final class Scenario {
    private static final Pattern TABLE = Pattern.compile("--table '0 (\\d+) era \\S+ \\S+ (\\d+)'");

    /** What a replay comes past. */
    public interface Listener {
        /** A status line was recorded here; {@code ours} is what our engine says. */
        void status(int step, String recorded, String ours) throws IOException;

        /** The image {@code name} was taken here. */
        void image(int step, String name, MemoryBlockDevice ours) throws IOException;
    }

    private final String name;
    private final JsonNode steps;
    private final MemoryBlockDevice device;
    private SettledTarget target;
    private long sectors;

    private Scenario(String name, int metadataBytes) {
        this.name = name;
        this.steps = Fixtures.manifest().get("scenarios").get(name).get("steps");
        this.device = new MemoryBlockDevice(metadataBytes / 4096);
    }

    /** The names of all scenarios. */
    public static List<String> names() {
        List<String> names = new ArrayList<>();
        Fixtures.manifest().get("scenarios").fieldNames().forEachRemaining(names::add);
        return names;
    }

    /** Replays {@code name} on a device of the recorded size. */
    public static void replay(String name, Listener listener) throws IOException {
        int bytes = Fixtures.images().stream()
                .filter(i -> i.get("scenario").asText().equals(name))
                .mapToInt(i -> i.get("metadata_bytes").asInt())
                .findFirst()
                .orElseThrow();
        Scenario scenario = new Scenario(name, bytes);
        if (name.endsWith("_recovered")) {
            scenario.restore(name.substring(0, name.length() - "_recovered".length()) + ".crash");
        }
        for (int i = 0; i < scenario.steps.size(); i++) {
            scenario.step(i, scenario.steps.get(i), listener);
        }
    }

    /** The blocks that a manifest's list of ranges names, ends inclusive, in its order. */
    public static int[] blocks(String ranges) {
        List<Integer> blocks = new ArrayList<>();
        for (String range : ranges.isEmpty() ? new String[0] : ranges.split(",", -1)) {
            String[] ends = range.split("-", -1);
            int end = Integer.parseInt(ends[ends.length - 1]);
            for (int b = Integer.parseInt(ends[0]); b <= end; b++) {
                blocks.add(b);
            }
        }
        return blocks.stream().mapToInt(Integer::intValue).toArray();
    }

    private void step(int i, JsonNode step, Listener listener) throws IOException {
        switch (step.get("op").asText()) {
            case "dmsetup", "message" -> command(step.get("cmd").asText());
            case "status" -> {
                String ours = "0 " + sectors + " era " + target.status().statusLine();
                listener.status(i, step.get("status").asText(), ours);
            }
            case "write" -> write(step);
            case "image" -> listener.image(i, step.get("name").asText(), device);
            case "restore_image" -> restore(step.get("name").asText());
            case "probe" -> probe();
            default -> throw new IllegalArgumentException("unknown step: " + step);
        }
    }

    private void command(String command) throws IOException {
        Matcher table = TABLE.matcher(command);
        String verb = command.split(" ", -1)[1];
        if (table.find()) {
            long newSectors = Long.parseLong(table.group(1));
            long blockSize = Long.parseLong(table.group(2));
            if (target == null) {
                target = new SettledTarget(device, blockSize);
            }
            target.load((newSectors + blockSize - 1) / blockSize);
            sectors = newSectors;
        }
        if (command.contains("checkpoint")) {
            target.checkpoint();
        } else if (command.contains("take_metadata_snap")) {
            target.takeSnapshot();
        } else if (command.contains("drop_metadata_snap")) {
            target.dropSnapshot();
        } else if (verb.equals("resume") || verb.equals("create") && sectors > 0 && !command.contains("--notable")) {
            target.resume();
        } else if (verb.equals("suspend")) {
            target.suspend();
        } else if (verb.equals("remove")) {
            target.remove();
        } else if (!List.of("create", "load", "reload", "table").contains(verb)) {
            throw new IllegalArgumentException("unknown command: " + command);
        }
    }

    private void write(JsonNode step) throws IOException {
        int[] blocks = blocks(step.get("blocks").asText());
        if (step.get("how").asText().contains("span")) {
            target.writeTogether(blocks);
        } else {
            for (int block : blocks) {
                target.write(block);
            }
        }
    }

    /** What a probe marked is known only from what the last image says of its era. */
    private void probe() throws IOException {
        long era = target.worker().metadata().currentEra();
        JsonNode written = Fixtures.image(name + ".live").get("written_by_era").get(Long.toString(era));
        if (written != null) {
            target.writeTogether(blocks(written.asText()));
        }
    }

    private void restore(String image) {
        byte[] bytes = Fixtures.imageBytes(Fixtures.image(image));
        System.arraycopy(bytes, 0, device.bytes(), 0, bytes.length);
        target = null;
    }
}
