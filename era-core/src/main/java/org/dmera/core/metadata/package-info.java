// SPDX-License-Identifier: Apache-2.0
/**
 * The era metadata as a thing that changes: the verbs of the era target on {@link org.dmera.core.metadata.EraMetadata},
 * and the order in which its worker uses them in {@link org.dmera.core.metadata.EraWorker}. Starts no thread.
 */
package org.dmera.core.metadata;
