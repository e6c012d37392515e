// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;

/**
 * Marks tests that run while no others do; the rest run two classes at a time, each in a JVM of its own.
 *
 * <p>For tests of what the machine has only once (names in {@code /dev/mapper}, loop devices that are counted, mounts, fixed ports),
 * of memory and rates, and of guests, which take both processors.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Tag("alone")
public @interface Alone {}
