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
    private final StringBuilder script = new StringBuilder();

    Workload(String name, int metadataKib, long originSectors, EraRecord start) {
        this.name = name;
        this.metadataKib = metadataKib;
        this.originSectors = originSectors;
        this.record = start;
    }

    Workload add(Operation operation) {
        operations.add(operation);
        script.append("step=").append(operations.size()).append('\n');
        script.append(operation.shell(record)).append('\n');
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

    /** The steps as a script for the guest, with the devices' beginning and end. */
    String script() {
        return """
                . "$lab/lib.sh"
                trap '[ $? -eq 0 ] || echo "@failed at step $step"' EXIT
                begin %s %d %d
                %s
                finish
                """.formatted(name, metadataKib, originSectors, script.toString().stripTrailing());
    }
}
