// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;

/** {@code splitname}: the parts of a name, which only LVM's have; udev's rules ask for them. */
final class SplitNameCommand {
    boolean run(Session session, List<String> operands) throws IOException {
        String subsystem = operands.size() > 1 ? operands.get(1) : LvmName.SUBSYSTEM;
        LvmName name = subsystem.equals(LvmName.SUBSYSTEM) ? LvmName.parse(operands.get(0)) : new LvmName("", "", "");
        Report report = Report.ofName(session);
        if (report == null) {
            return true;
        }
        Report.Row row = field -> switch (field) {
            case SUBSYSTEM -> subsystem;
            case VG_NAME -> name.group();
            case LV_NAME -> name.volume();
            case LV_LAYER -> name.layer();
            default -> throw new IllegalArgumentException(field.id());
        };
        return Repetition.run(session, () -> {
            report.print(List.of(row));
            return true;
        });
    }
}
