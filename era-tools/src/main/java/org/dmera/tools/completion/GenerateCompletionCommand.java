// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.completion;

import java.io.IOException;
import org.dmera.tools.Command;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Completion;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;

/** {@code era-tools generate-completion}: the script with which a shell completes the tools' options. */
public final class GenerateCompletionCommand implements Command {
    @Override
    public Usage usage() {
        return new Usage("era-tools generate-completion", "Print a script that completes the tools' options in a shell")
                .operand("SHELL", "bash, zsh or fish")
                .footer("""
                        Use it as:
                          eval "$(era-tools generate-completion bash)"
                          era-tools generate-completion fish | source""");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        String shell = arguments.operand(0);
        String script = Completion.script(shell);
        if (script == null) {
            throw new IOException("no completion for " + shell + ": bash, zsh or fish");
        }
        console.print(script);
        return 0;
    }
}
