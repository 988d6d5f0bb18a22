"""The paper's numbers as data, row by row as its tables print them."""

import pytest

from pixwizard_core.evaluation.cells import chosen_cells, names_of_cells, paper_cells, paper_scores
from pixwizard_core.evaluation.layouts import LAYOUTS
from pixwizard_core.evaluation.measures import MEASURES
from pixwizard_core.evaluation.measuring import SETS
from pixwizard_core.evaluation.paper import COMES_FROM, runs_of
from pixwizard_core.evaluation.protocols import TOTALS

# The line “PixWizard” of each table, from left to right; of table 6 both lines.
PRINTED = {
    1: "0.287 0.291 32.76 19.65 38.67 0.957 31.43 0.917 46.44 36.49",
    2: "0.104 0.845 0.248 0.069 0.798 0.124 0.884 0.265 0.063 0.876",
    3: "35.46 15.76 32.01 33.83 16.94 31.84 9.27 0.25 7.54 22.18 9.56 27.47",
    5: "29.66 0.883 28.14 0.937 20.29 0.807 24.68 0.774 27.22 0.826 16.99 0.752",
    6: "33.65 47.28 44.12 45.38 40.07 38.89 40.76 29.07 44.38 40.13 42.09 36.49 35.30 38.93",
}


@pytest.mark.parametrize("table", PRINTED)
def test_cells_have_the_tables_numbers_in_order(table):
    printed = [cell.paper for cell in paper_cells() if cell.table == table]
    assert printed == PRINTED[table].split()


def test_there_are_58_cells_numbered_in_order():
    assert [cell.number for cell in paper_cells()] == list(range(1, 59))


def test_each_cell_names_a_layout_its_split_and_a_score_that_is_taken():
    picture = {"psnr_db", "ssim", "rmse_m", "miou", "ciou", "mean_angle_deg"}
    for cell in paper_cells():
        layout = LAYOUTS[cell.data]
        assert cell.split in layout.splits
        measure = COMES_FROM.get(cell.score, cell.score)
        if layout.protocol == "measured":
            assert measure in layout.metrics
            assert measure in (*MEASURES, *SETS)
        else:
            assert cell.score in picture
            assert layout.protocol in TOTALS


def test_of_two_numbers_for_refcoco_val_both_say_so():
    same = ("refcoco", "val", "mask")
    one, other = (c for c in paper_cells() if (c.data, c.split, c.task) == same)
    assert (one.paper, other.paper) == ("46.44", "44.38")
    assert "44.38" in one.note
    assert "46.44" in other.note
    assert paper_scores("refcoco", "val", "mask") == {"ciou": 0.4438}


def test_paper_scores_are_in_our_units():
    assert paper_scores("ade20k", "validation", "segmentation") == {"miou": 0.3276}
    assert paper_scores("sidd", "test", "denoise") == {"psnr_db": 38.67, "ssim": 0.957}
    assert paper_scores("sots", "test", "derain") == {}


def test_cells_are_chosen_by_table_and_dataset():
    assert [cell.number for cell in chosen_cells(["table1"])] == list(range(1, 11))
    assert [cell.number for cell in chosen_cells(["sots", "uieb"])] == [35, 36, 43, 44]
    assert {"table3", "coco30k"} <= set(names_of_cells())


def test_cells_of_one_set_are_measured_by_one_run():
    runs = runs_of(paper_cells())
    assert len(runs) == 27
    (val,) = [run for run in runs if (run.data, run.split) == ("refcoco", "val")]
    assert [cell.number for cell in val.cells] == [9, 46, 53]
    assert val.options.method == "both"
    (canny,) = [run for run in runs if run.data == "multigen-canny"]
    assert canny.metrics == ("canny_f1", "fid", "clip_s")
