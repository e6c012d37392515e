// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A token takes the metadata that it is of, whatever was written since, and no others. */
class EraTokenTest {
    private static final int BLOCK_SECTORS = 8;

    /** The era of each block, and the current one. */
    private static final class Model {
        final long[] eras;
        long era = 1;

        Model(int blocks) {
            eras = new long[blocks];
        }

        Model(long[] eras, long era) {
            this.eras = eras;
            this.era = era;
        }

        /** Some eras of writes, near one another or all over. */
        void live(Random random, int rounds) {
            for (int i = 0; i < rounds; i++, era++) {
                for (int writes = random.nextInt(20); writes > 0; writes--) {
                    int from = random.nextInt(eras.length);
                    Arrays.fill(eras, from, Math.min(eras.length, from + 1 + random.nextInt(30)), era);
                }
            }
        }

        EraToken token() throws IOException {
            return EraToken.of(era, era, eras.length, BLOCK_SECTORS, this::forEach);
        }

        String contradiction(EraToken token) throws IOException {
            return token.contradiction(era, eras.length, BLOCK_SECTORS, this::forEach);
        }

        /** As runs that are not the longest there could be. */
        private void forEach(EraToken.Runs visitor) throws IOException {
            for (int at = 0; at < eras.length; ) {
                int end = at + 1;
                while (end < eras.length && eras[end] == eras[at] && (end & 7) != 0) {
                    end++;
                }
                visitor.run(end - at, eras[at]);
                at = end;
            }
        }

        Model copy(int blocks) {
            return new Model(Arrays.copyOf(eras, blocks), era);
        }
    }

    @Test
    void whatIsWrittenLaterAndHowTheOriginGrowsAndShrinksContradictsNothing() throws Exception {
        Random random = new Random(1);
        for (int trial = 0; trial < 400; trial++) {
            Model device = new Model(1 + random.nextInt(trial % 2 == 0 ? 200 : 20_000));
            device.live(random, random.nextInt(20));
            EraToken token = EraToken.parse(device.token().toString());
            assertEquals(device.era, token.era());
            for (int more = 0; more < 3; more++) {
                assertNull(device.contradiction(token), "trial " + trial);
                device.live(random, random.nextInt(4));
                device = device.copy(device.eras.length + random.nextInt(10));
                device.live(random, 1);
            }
            Model shrunk = device.copy((device.eras.length + 1) / 2);
            assertNull(shrunk.contradiction(token), "trial " + trial);
        }
    }

    @Test
    void aDifferenceInOneBlockIsSeenWhereverItIsWhileNothingNearItWasWritten() throws Exception {
        Random random = new Random(2);
        for (int trial = 0; trial < 400; trial++) {
            Model device = new Model(1 + random.nextInt(5000));
            device.era = 2;
            device.live(random, 10);
            EraToken token = device.token();
            int block = random.nextInt(device.eras.length);
            device.eras[block] = device.eras[block] == 1 ? 0 : 1;
            device.era += 3;
            assertNotNull(device.contradiction(token), "block " + block + " of " + device.eras.length);
        }
    }

    @Test
    void metadataThatWasMadeAnewIsRefusedAlsoWhenMostOfTheOriginWasWrittenSince() throws Exception {
        Random random = new Random(3);
        for (int trial = 0; trial < 40; trial++) {
            Model device = new Model(200_000);
            device.live(random, 50);
            EraToken token = device.token();
            Model anew = new Model(200_000);
            anew.live(random, 50);
            for (int i = 0; i < 100_000; i++) {
                anew.eras[random.nextInt(anew.eras.length)] = anew.era;
            }
            anew.era++;
            assertNotNull(anew.contradiction(token), "trial " + trial);
        }
    }

    @Test
    void anEraThatWentBackIsRefused() throws Exception {
        Model device = new Model(100);
        device.live(new Random(4), 10);
        EraToken token = device.token();
        device.era--;
        assertTrue(device.contradiction(token).contains("went back"));
    }

    @Test
    void aTokenThatWasChangedAnywhereIsNone() throws Exception {
        Model device = new Model(1000);
        device.live(new Random(5), 10);
        String text = device.token().toString();
        assertTrue(text.length() <= EraToken.MAX_TEXT, text.length() + " characters");
        assertTrue(text.matches("[0-9]+-[A-Za-z0-9_-]+"), text);
        assertEquals(device.token(), EraToken.parse(text));
        for (int i = 0; i < text.length(); i++) {
            char other = text.charAt(i) == 'A' || text.charAt(i) == '1' ? 'B' : '1';
            String changed = text.substring(0, i) + other + text.substring(i + 1);
            IOException refusal = assertThrows(IOException.class, () -> EraToken.parse(changed), "character " + i);
            assertTrue(refusal.getMessage().lines().count() == 1, refusal::getMessage);
        }
        for (String cut : new String[] {"", "-", "3", "11-", text.substring(0, 100), text + "AAAA"}) {
            assertThrows(IOException.class, () -> EraToken.parse(cut), cut);
        }
    }
}
