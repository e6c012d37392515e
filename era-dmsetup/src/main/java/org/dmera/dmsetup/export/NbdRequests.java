// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Client;

/** Does some kind of one client's requests, and answers them. Used by the connection's thread alone. */
abstract class NbdRequests {
    /** What that takes, whatever the kind; {@code polling} is the client's socket if it is a plain one, else null. */
    record Means(
            DeviceIo io,
            Client client,
            ReplyForm form,
            AnswerBuffer answers,
            PollingSocket polling,
            BackgroundWrites background,
            NbdMemory memory) {}

    final DeviceIo io;
    final Client client;
    final ReplyForm form;
    final AnswerBuffer answers;
    final PollingSocket polling;
    final BackgroundWrites background;
    final NbdMemory memory;

    NbdRequests(Means means) {
        this.io = means.io;
        this.client = means.client;
        this.form = means.form;
        this.answers = means.answers;
        this.polling = means.polling;
        this.background = means.background;
        this.memory = means.memory;
    }

    /** Whether a range is none of the device, as it is now. */
    final boolean isOutside(long offset, long length) {
        return length < 0 || offset < 0 || offset > io.sizeBytes() - length;
    }

    final void refuse(long cookie, long offset, Errno error, String why) throws IOException {
        answers.fail(cookie, offset, new ErrnoException(why, error.number()));
    }
}
