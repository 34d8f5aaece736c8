"""What `python -m asyncio` does with a text that is pasted at its prompt."""

import ast
import codeop
import contextlib
import inspect
import io


async def paste(text: str, namespace: dict[str, object]) -> str:
    """
    Runs the text line by line, as the prompt does; gives what it prints.

    Unlike in a file, a blank line ends an indented block, and a block must end before the next statement begins.
    """
    compiler, printed, waiting = codeop.CommandCompiler(), io.StringIO(), []
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with contextlib.redirect_stdout(printed):
        for line in [*text.strip("\n").splitlines(), ""]:
            waiting.append(line)
            if (code := compiler("\n".join(waiting))) is not None:
                waiting.clear()
                outcome = eval(code, namespace)
                if inspect.isawaitable(outcome):
                    await outcome
    assert waiting == [], f"the prompt waits for more after {waiting}"
    return printed.getvalue()
