// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A sequence of operations on one era device, with the account of what was written when at every image and status on the
 * way. Built step by step; the record is always that of the steps so far.
 */
final class Workload {
    /** What must be found in an image: a record, and for a cut in the midst of writes those, in their order. */
    record Expected(EraRecord record, List<BlockIo> underWay) {}

    private final String name;
    private final int metadataKib;
    private final long originSectors;
    private final EraRecord record;
    private final List<Operation> operations = new ArrayList<>();
    private final Map<String, Expected> images = new LinkedHashMap<>();
    private final Map<String, EraRecord> statuses = new LinkedHashMap<>();
    /** The record before each operation. */
    private final List<EraRecord> history = new ArrayList<>();

    Workload(String name, int metadataKib, long originSectors, EraRecord start) {
        this.name = name;
        this.metadataKib = metadataKib;
        this.originSectors = originSectors;
        this.record = start;
    }

    Workload add(Operation operation) {
        operations.add(operation);
        history.add(record.copy());
        if (operation instanceof Operation.CutPower cut) {
            images.put(cut.name(), new Expected(record.copy(), cut.list()));
        }
        operation.apply(record);
        if (operation instanceof Operation.Image image) {
            images.put(image.name(), new Expected(record.copy(), List.of()));
        } else if (operation instanceof Operation.Status status) {
            statuses.put(status.label(), record.copy());
        }
        return this;
    }

    String name() {
        return name;
    }

    int metadataKib() {
        return metadataKib;
    }

    long originSectors() {
        return originSectors;
    }

    /** The record after all steps so far; a live view. */
    EraRecord record() {
        return record;
    }

    List<Operation> operations() {
        return operations;
    }

    Map<String, Expected> images() {
        return images;
    }

    Map<String, EraRecord> statuses() {
        return statuses;
    }

    /** The record as it was before step {@code number}, the first being 0. */
    EraRecord before(int number) {
        return history.get(number);
    }

    /** The steps as a script for the guest, with the devices' beginning and end. */
    String script() {
        return script("begin");
    }

    /** The steps on a metadata device whose writes are recorded, with a mark before each step. */
    String recordedScript() {
        return script("begin_recorded");
    }

    private String script(String begin) {
        StringBuilder script = new StringBuilder();
        script.append(". \"$lab/lib.sh\"\n");
        script.append("trap '[ $? -eq 0 ] || echo \"@failed at step $step\"' EXIT\n");
        script.append("%s %s %d %d\n".formatted(begin, name, metadataKib, originSectors));
        for (int i = 0; i < operations.size(); i++) {
            script.append("step ").append(i).append('\n');
            script.append(operations.get(i).shell(history.get(i))).append('\n');
        }
        return script.append("finish\n").toString();
    }
}
