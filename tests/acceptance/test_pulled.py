"""A study that nobody routed to the node: it asks the PACS, has it sent, and delivers it."""

from pathlib import Path

from router.dicom.scu.client import Outgoing
from router.policy.states import State
from support.dcmtk_pacs import archive, pacs
from support.dicom_peers import free_port
from support.harness import Site, make_exam


def test_images_that_only_the_pacs_has_are_pulled_and_delivered(tmp_path: Path) -> None:
    site, port = Site(tmp_path / "site"), free_port()
    try:
        with pacs(tmp_path, port) as archived:
            site.configure(receive_port=port)
            text = site.config_file.read_text(encoding="utf-8")
            query = f'[query]\nae_title = "PACS"\nport = {archived}\n[study]\nmissing_after = "1 s"\n'
            site.config_file.write_text(text.replace("[study]\n", query), encoding="utf-8")
            exam = make_exam(site, 1, instances=3)
            files = exam.study.files
            archive(archived, [
                Outgoing(key=n, path=file.path, sop_class=file.sop_class, sop_instance=file.sop_instance,
                         transfer_syntax=file.transfer_syntax)
                for n, file in enumerate(files)
            ])  # fmt: skip
            assert site.node.running
            site.report(exam)
            site.wait_for(State.DELIVERED, exam.id)
            site.assert_images_equal(exam.study)
    finally:
        site.stop()
