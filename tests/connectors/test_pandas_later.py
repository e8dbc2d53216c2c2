"""pymilvus without pandas: not loaded for it, the real one for whoever asks, and never taken for something else."""

import subprocess
import sys

ABSENT = "assert not {'pandas', 'pyarrow'} & sys.modules.keys(), 'loaded'"


def run(*lines: str) -> None:
    """Run the lines in a fresh interpreter, because this one may have loaded pandas."""
    subprocess.run([sys.executable, "-c", "\n".join(("import sys", *lines))], check=True, timeout=60)


def test_milvus_is_loaded_without_pandas_and_pandas_is_the_real_one_afterwards() -> None:
    run(
        "import connectors.milvus",
        ABSENT,
        "import pandas, pandas.api.types",
        "assert pandas.DataFrame({'a': [1]}).shape == (1, 1)",
        "assert pandas.api.types.is_scalar(1)",
    )


def test_what_pymilvus_does_with_pandas_it_does_with_the_real_one() -> None:
    run(
        "import connectors.milvus",
        "from pymilvus.orm import schema",
        "assert schema.is_valid_insert_data([]) and not schema.is_valid_insert_data('no frame')",
        ABSENT,
        "assert schema.is_list_like([1]) and not schema.is_scalar([1])",
        "import pandas",
        "assert schema.is_valid_insert_data(pandas.DataFrame())",
        "assert schema.prepare_fields_from_dataframe(pandas.DataFrame({'a': [1]}))",
    )


def test_anything_else_that_is_asked_for_is_the_real_one() -> None:
    run(
        "from connectors.pandas_later import pandas_later",
        "with pandas_later():",
        "    import pandas as early",
        "    from pandas.api.types import is_bool",
        "import pandas",
        "assert is_bool is pandas.api.types.is_bool",
        "assert early.Series is pandas.Series and early is not pandas",
    )


def test_a_pandas_that_is_loaded_is_left_alone() -> None:
    run(
        "import pandas as before",
        "import connectors.milvus",
        "from pymilvus.orm import schema",
        "assert schema.pd is before is sys.modules['pandas']",
    )
