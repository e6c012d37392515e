// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * The table line of a cache target: {@code METADATA CACHE ORIGIN BLOCK_SECTORS #FEATURES feature… POLICY #ARGS arg…}.
 *
 * @param lengthSectors of the cached device
 * @param metadata the metadata device
 * @param cache the fast device
 * @param origin the slow device
 * @param blockSectors sectors in a cache block
 * @param features the mode ({@code writeback}, {@code writethrough} or {@code passthrough}) among others
 * @param policy the policy's name
 * @param policyArgs its arguments
 */
record CacheTable(
        long lengthSectors,
        String metadata,
        String cache,
        String origin,
        long blockSectors,
        List<String> features,
        String policy,
        List<String> policyArgs) {
    static final String PASSTHROUGH = "passthrough";
    private static final List<String> MODES = List.of("writeback", "writethrough", PASSTHROUGH);
    /** The policy that writes dirty blocks back, and nothing else. */
    private static final String CLEANER = "cleaner";

    /** Reads a table, which messages call that of {@code device}; fails when it isn't one cache target. */
    static CacheTable of(String device, List<TargetSpec> table) throws IOException {
        return parse(TargetSpec.requireOne("cache", table, device, "a cache"));
    }

    /** Reads a table line as the kernel prints it. */
    static CacheTable parse(TargetSpec line) throws IOException {
        String[] words = line.params().trim().split(" +", -1);
        try {
            int features = Integer.parseInt(words[4]);
            int policyAt = 5 + features;
            int args = Integer.parseInt(words[policyAt + 1]);
            if (features < 0 || args < 0 || words.length != policyAt + 2 + args) {
                throw new IOException("not a cache target's table: " + line.params());
            }
            return new CacheTable(
                    line.lengthSectors(),
                    words[0],
                    words[1],
                    words[2],
                    Long.parseLong(words[3]),
                    List.of(Arrays.copyOfRange(words, 5, policyAt)),
                    words[policyAt],
                    List.of(Arrays.copyOfRange(words, policyAt + 2, words.length)));
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
            throw new IOException("not a cache target's table: " + line.params(), e);
        }
    }

    /** The line to load. */
    TargetSpec spec() {
        List<String> words = new ArrayList<>(List.of(metadata, cache, origin, Long.toString(blockSectors)));
        words.add(Integer.toString(features.size()));
        words.addAll(features);
        words.add(policy);
        words.add(Integer.toString(policyArgs.size()));
        words.addAll(policyArgs);
        return new TargetSpec(0, lengthSectors, "cache", String.join(" ", words));
    }

    /** The cache's mode; the kernel's own choice where none is named. */
    String mode() {
        for (String feature : features) {
            if (MODES.contains(feature)) {
                return feature;
            }
        }
        return MODES.get(0);
    }

    boolean isPassthrough() {
        return mode().equals(PASSTHROUGH);
    }

    boolean isCleaning() {
        return policy.equals(CLEANER);
    }

    /** The same cache in passthrough mode. */
    CacheTable passthrough() {
        List<String> others = new ArrayList<>(features);
        others.removeAll(MODES);
        others.add(0, PASSTHROUGH);
        return new CacheTable(
                lengthSectors, metadata, cache, origin, blockSectors, List.copyOf(others), policy, policyArgs);
    }

    /** The same cache, writing its dirty blocks back. */
    CacheTable cleaning() {
        return new CacheTable(lengthSectors, metadata, cache, origin, blockSectors, features, CLEANER, List.of());
    }

    /** Whether it is the same cache, whatever its mode and policy. */
    boolean isSameCache(CacheTable other) {
        return lengthSectors == other.lengthSectors
                && blockSectors == other.blockSectors
                && metadata.equals(other.metadata)
                && cache.equals(other.cache)
                && origin.equals(other.origin);
    }
}
