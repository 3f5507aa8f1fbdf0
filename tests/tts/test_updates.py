"""Which update it is, whatever number of batches each has."""

import pytest

from tests.tts.test_aligned_fastspeech import model as aligned


@pytest.fixture(params=["AcousticModel", "AlignedFastSpeech"])
def waiting(acoustic, request):
    """In training; from the third update on the alignment is to be hard."""
    if request.param == "AcousticModel":
        return acoustic(alignment={"binarise_after": 3}).train()
    return aligned(binarise_after=3).train()


def hard(model, batch):
    return float(model(**batch)[1]["binarise"]) > 0


def test_an_update_of_several_batches_is_one(waiting, batch):
    found = []
    for done in range(4):
        waiting.begin_update(done)
        found.append([hard(waiting, batch) for _ in range(2)])
    assert found == [[False, False], [False, False], [True, True], [True, True]]
    waiting.eval()(**batch)
    assert int(waiting.updates) == 4


def test_where_nobody_says_each_batch_is_one(waiting, batch):
    assert [hard(waiting, batch) for _ in range(4)] == [False, False, True, True]


def test_a_model_that_goes_on_from_another_has_its_updates_behind_it(waiting, batch):
    waiting.updates.fill_(100)
    waiting.begin_update(0)
    assert hard(waiting, batch)
