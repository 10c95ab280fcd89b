// The completion scripts. Each asks the tool itself (`TOOL __complete WORDS…`) for candidates, so that the
// scripts know nothing of the commands and never go stale.

import type { CommandLine } from "./command-line.ts";
import { ExitCode } from "./exit.ts";
import type { Output } from "./output.ts";
import { currentTool } from "./run-tool.ts";

export function run(line: CommandLine, output: Output): number {
  const script = scripts[line.words[0] as string] as (tool: string) => string;
  output.out(script(currentTool().root.name));
  return ExitCode.success;
}

const scripts: Readonly<Record<string, (tool: string) => string>> = {
  bash: (tool) => `# bash completion for ${tool.padEnd(36)} -*- shell-script -*-

_${tool}_complete()
{
    local line word directive=0 typed="\${COMP_WORDS[COMP_CWORD]}"
    local -a words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=()

    # Bash splits at '=' and ':'; the tool wants --name=value as one word.
    if (( COMP_CWORD >= 2 )) && [[ "\${COMP_WORDS[COMP_CWORD-1]}" == "=" ]]; then
        words=("\${COMP_WORDS[@]:1:COMP_CWORD-3}" "\${COMP_WORDS[COMP_CWORD-2]}=$typed")
    elif [[ "$typed" == "=" ]] && (( COMP_CWORD >= 1 )); then
        words=("\${COMP_WORDS[@]:1:COMP_CWORD-2}" "\${COMP_WORDS[COMP_CWORD-1]}=")
        typed=""
    fi

    while IFS= read -r line; do
        if [[ "$line" =~ ^:[0-9]+$ ]]; then
            directive="\${line#:}"
            continue
        fi
        word="\${line%%$'\\t'*}"
        [[ "\${words[\${#words[@]}-1]}" == --*=* ]] && word="\${word#*=}"
        COMPREPLY+=("$word")
    done < <("\${COMP_WORDS[0]}" __complete "\${words[@]}" 2>/dev/null)

    if (( \${#COMPREPLY[@]} == 0 && (directive & 4) == 0 )); then
        while IFS= read -r word; do
            COMPREPLY+=("$word")
        done < <(compgen -f -- "$typed")
        type compopt &>/dev/null && compopt -o filenames
    fi
    return 0
}

complete -F _${tool}_complete ${tool}
`,

  zsh: (tool) => `#compdef ${tool}
compdef _${tool} ${tool}

# zsh completion for ${tool.padEnd(36)} -*- shell-script -*-

_${tool}()
{
    local line directive=0
    local -a candidates
    while IFS= read -r line; do
        if [[ "$line" =~ '^:[0-9]+$' ]]; then
            directive="\${line#:}"
            continue
        fi
        # A colon separates candidate and description, so those inside need a backslash.
        if [[ "$line" == *$'\\t'* ]]; then
            candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
        else
            candidates+=("\${line//:/\\\\:}")
        fi
    done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)

    if (( \${#candidates} > 0 )); then
        _describe 'completions' candidates
    elif (( (directive & 4) == 0 )); then
        _files
    fi
}

# Sourced rather than found by the completion system: nothing to complete yet.
if [ "\${funcstack[1]}" = "_${tool}" ]; then
    _${tool}
fi
`,

  fish: (tool) => `# fish completion for ${tool.padEnd(36)} -*- shell-script -*-

function __${tool}_candidates
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if not string match -qr '^:[0-9]+$' -- $line
            echo $line
        end
    end
end

function __${tool}_wants_files
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
    test (count $lines) -eq 1; and test "$lines[1]" = ":0"
end

complete -c ${tool} -e
complete -c ${tool} -n 'not __${tool}_wants_files' -f -a '(__${tool}_candidates)'
complete -c ${tool} -n '__${tool}_wants_files' -F
`,

  powershell: (tool) => `# powershell completion for ${tool.padEnd(36)} -*- shell-script -*-

Register-ArgumentCompleter -Native -CommandName '${tool}' -ScriptBlock {
    param($WordToComplete, $CommandAst, $CursorPosition)

    $Words = @($CommandAst.CommandElements |
        Where-Object { $_.Extent.StartOffset -lt $CursorPosition } |
        ForEach-Object { "$_" })
    $Program = $Words[0]
    $Arguments = @($Words | Select-Object -Skip 1)
    if ($WordToComplete -eq '') { $Arguments += '' }

    & $Program __complete @Arguments 2>$null | ForEach-Object {
        if ($_ -match '^:[0-9]+$') { return }
        $Name, $Description = $_ -split "\`t", 2
        if (-not $Description) { $Description = $Name }
        [System.Management.Automation.CompletionResult]::new(
            $Name, $Name, 'ParameterValue', $Description)
    }
}
`,
};
