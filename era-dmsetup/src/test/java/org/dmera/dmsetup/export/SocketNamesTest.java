// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import org.junit.jupiter.api.Test;

/** The addresses that the log tells. */
class SocketNamesTest {
    @Test
    void addressesAreWrittenAsOtherProgramsWriteThem() throws Exception {
        String[][] cases = {
            {"0.0.0.0", "0.0.0.0:10809"},
            {"192.0.2.1", "192.0.2.1:10809"},
            {"::", "[::]:10809"},
            {"::1", "[::1]:10809"},
            {"2001:db8::1", "[2001:db8::1]:10809"},
            {"2001:db8::", "[2001:db8::]:10809"},
            {"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:10809"},
            {"2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:10809"},
            {"2001:0:0:1:1:0:0:1", "[2001::1:1:0:0:1]:10809"},
        };
        for (String[] each : cases) {
            assertEquals(each[1], SocketNames.of(new InetSocketAddress(InetAddress.getByName(each[0]), 10809)));
        }
        assertEquals("/run/era/control.nbd", SocketNames.of(UnixDomainSocketAddress.of("/run/era/control.nbd")));
    }
}
