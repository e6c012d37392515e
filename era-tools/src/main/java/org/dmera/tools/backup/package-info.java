// SPDX-License-Identifier: Apache-2.0
/** The backup commands: era_copy and era_apply, over {@code stream}, {@code copy} and {@code apply}. */
package org.dmera.tools.backup;
