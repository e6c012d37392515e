// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.targets.Failures;

/**
 * The change by which a device gets a table: opened first, and closed again when there is no change; in the meantime it is one
 * of the device's tables, for what lies beneath them.
 *
 * @param then the change that is made with the table on its way, all of it within this one
 */
record Load(
        MappedDevice device, DeviceRegistry registry, RememberedState state, DeviceRecord.Table words, Transition then)
        implements Transition {
    @Override
    public void prepare() throws IOException {
        String number = DevNumber.text(device.dev());
        LoadedTable loaded = registry.loader()
                .load(number, words, registry.backings().openerFor(device, words.readOnly(), words.found()));
        try {
            state.note(now -> now.arriving(loaded));
        } catch (ErrnoException | RuntimeException | Error e) {
            Failures.after(e, loaded::close);
            throw e;
        }
        if (device.openCount() > 0) {
            // Others lie on it, and may share with somebody by this table what they must not.
            registry.loader().checkSharing(number);
        }
        then.prepare();
    }

    @Override
    public DeviceState next(DeviceState now) throws IOException {
        return then.next(now);
    }

    @Override
    public boolean mustBeSaved() {
        return then.mustBeSaved();
    }

    @Override
    public void undo(Throwable cause) {
        then.undo(cause);
        LoadedTable loaded = state.now().arriving();
        if (loaded != null) {
            Failures.after(cause, loaded::close);
            state.noteOfAny(now -> now.arriving(null));
        }
    }

    @Override
    public void publish() {
        then.publish();
    }

    @Override
    public void release() throws IOException {
        then.release();
    }
}
