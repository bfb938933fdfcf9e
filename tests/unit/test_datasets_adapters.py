"""Public sets in their owners' own formats: what is read, what is left out, and what a list knows."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.datasets import clickstreams, online_retail
from shared.datasets.candidates import NOTHING, Candidate
from shared.datasets.movielens import GENRES, MovieLens
from shared.datasets.open_bandit import OpenBandit
from shared.datasets.repeats import HALF, NEVER, Repeats
from shared.datasets.trivago import Offer, Trivago
from shared.errors import BadSettings


def test_online_retail_leaves_out_what_is_no_purchase_of_a_product(tmp_path: Path) -> None:
    (tmp_path / "Online Retail.csv").write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123a,HEART HOLDER,6,12/1/2010 8:26,2.55,17850,United Kingdom\n"
        "536365,85123A,HEART HOLDER,6,12/1/2010 8:26,2.55,17850,United Kingdom\n"  # the invoice repeats it
        "C536366,85123A,HEART HOLDER,-6,12/1/2010 9:00,2.55,17850,United Kingdom\n"  # a return
        "536367,POST,POSTAGE,1,12/1/2010 9:10,18.00,17850,United Kingdom\n"
        "536368,71053,WHITE LANTERN,2,12/1/2010 9:20,3.39,,United Kingdom\n"  # nobody's
        "536369,71053,WHITE LANTERN,2,12/1/2010 9:30,0.00,13047,United Kingdom\n"
        "536370,71053,WHITE LANTERN,2,12/1/2010 9:40,3.39,13047,United Kingdom\n"
    )
    shop = online_retail.load(tmp_path, 1.0, 7)
    assert [(event.user_id, event.item_id, event.quantity) for event in shop.events] == [
        ("17850", "85123A", 6),
        ("13047", "71053", 2),
    ]
    assert shop.events[0].time == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert shop.items["71053"].title == "WHITE LANTERN"


def test_a_missing_set_is_named_with_where_it_is_offered(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"none of transactions\.parquet, Online Retail\.csv; .*archive\.ics\.uci\.edu"):
        online_retail.load(tmp_path, 1.0, 7)


TRIVAGO = (
    "user_id,session_id,timestamp,step,action_type,reference,platform,city,device,current_filters,impressions,prices\n"
    "u1,s1,1541548900,1,search for destination,Prado,BR,Prado,mobile,,,\n"
    "u1,s1,1541548910,2,interaction item image,22,BR,Prado,mobile,,,\n"
    "u1,s1,1541548920,3,clickout item,22,BR,Prado,mobile,,11|22|33,80|40|60\n"
    "u1,s1,1541548930,4,clickout item,33,BR,Prado,mobile,,11|22|33,80|40|60\n"
    "u2,s2,1541548935,1,clickout item,99,BR,Prado,mobile,,11|22,80|40\n"  # the list does not hold it
)


def test_trivago_tells_of_each_hotel_how_the_session_dealt_with_it_before_the_list_and_not_after(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TRIVAGO)
    moments = list(Trivago(tmp_path).moments())
    assert [moment.events[0].action for moment in moments] == ["view", "click", "click", "click"]
    first, second = (moment.lists[0] for moment in moments[1:3])
    assert (first.bought, second.bought, moments[3].lists) == (1, 2, ())
    known = {offer.item_id: offer for offer in first.candidates if isinstance(offer, Offer)}
    assert [(offer.position, offer.price_rank, offer.touches) for offer in known.values()] == [(1, 3, 0), (2, 1, 1), (3, 2, 0)]
    assert (known["33"].next_after, known["22"].touch_rank, known["22"].lists) == (1.0, 1.0, 0.0)
    later = {offer.item_id: offer for offer in second.candidates if isinstance(offer, Offer)}
    assert (later["22"].touches, later["22"].lists, later["11"].passed, later["33"].touched) == (2.0, 1.0, 1.0, 0.0)


def test_open_bandit_shows_one_item_at_a_time_clicked_or_not(tmp_path: Path) -> None:
    head = "campaign,timestamp,item_id,position,click,propensity_score," + ",".join(f"user_feature_{i}" for i in range(4))
    (tmp_path / "random.csv").write_text(
        f"{head},user-item_affinity_0,user-item_affinity_1\n"
        "men,2019-11-24 00:02:00+00:00,1,3,1,0.03,aaaa,bbbb,cccc,dddd,0.0,2.0\n"
        "men,2019-11-24 00:01:00+00:00,0,1,0,0.03,aaaa,bbbb,cccc,dddd,1.0,0.0\n"
    )
    (tmp_path / "random_items.csv").write_text(
        "item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3,campaign\n0,-0.6,x,y,z,men\n1,0.7,v,w,q,men\n"
    )
    moments = list(OpenBandit(tmp_path, "random").moments())
    assert [moment.lists[0].bought for moment in moments] == [NOTHING, 0]
    assert [[event.action for event in moment.events] for moment in moments] == [["view"], ["view", "click"]]
    [place] = moments[1].lists[0].candidates
    assert (place.item_id, place.position, place.affinity, place.propensity) == ("men-1", 3.0, 2.0, 0.03)  # type: ignore[attr-defined]


def movielens(folder: Path, owners: bool) -> MovieLens:
    """Three ratings by two users, in the owner's format or in RecBole's."""
    ratings = "7\t1\t3\t881250949\n8\t1\t4\t881250948\n7\t2\t5\t881250949\n"
    if owners:
        (folder / "u.data").write_text(ratings)
        flags = {1: ("Animation", "Comedy"), 2: ("Drama",)}
        (folder / "u.item").write_text(
            "".join(
                f"{film}|{title}|01-Jan-1995||address|{'|'.join(str(int(genre in flags[film])) for genre in GENRES)}\n"
                for film, title in ((1, "Toy Story (1995)"), (2, "Misérables, Les (1995)"))
            ),
            encoding="latin1",
        )
    else:
        (folder / "ml-100k.inter").write_text("user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + ratings)
        (folder / "ml-100k.item").write_text(
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            "1\tToy Story\t1995\tAnimation Comedy\n2\tMisérables, Les\t1995\tDrama\n"
        )
    return MovieLens(folder)


@pytest.mark.parametrize("owners", [True, False])
def test_movielens_makes_a_list_of_each_rating_positive_where_it_is_four_or_more(tmp_path: Path, owners: bool) -> None:
    shop = movielens(tmp_path, owners)
    assert {name: (item.title, item.category) for name, item in shop.items.items()} == {
        "1": ("Toy Story (1995), Animation Comedy", "Animation Comedy"),
        "2": ("Misérables, Les (1995), Drama", "Drama"),
    }
    first, second = shop.moments()
    assert (first.user_id, second.user_id, second.time) == ("8", "7", 881250949.0)
    assert [(ranked.candidates[0].item_id, ranked.bought) for ranked in (*first.lists, *second.lists)] == [
        ("1", 0), ("1", NOTHING), ("2", 0),
    ]  # fmt: skip
    assert [(event.item_id, event.action) for event in second.events] == [("1", "view"), ("2", "view"), ("2", "purchase")]


def test_clickstreams_count_what_a_session_does_to_one_item_once(tmp_path: Path) -> None:
    (tmp_path / "2019-Oct.csv").write_text(
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-10-01 00:00:03 UTC,purchase,7,20,,acme,9.5,1,a\n"
        "2019-10-01 00:00:01 UTC,view,7,20,,acme,9.5,1,a\n"
        "2019-10-01 00:00:02 UTC,view,7,20,,acme,9.5,1,a\n"
        "2019-10-01 00:00:04 UTC,view,8,30,toys.car,,1.5,2,b\n"
    )
    shop = clickstreams.rees46(tmp_path, 7)
    assert [(event.item_id, event.action) for event in shop.events] == [("7", "view"), ("7", "purchase"), ("8", "view")]
    assert (shop.items["7"].category, shop.items["8"].category, shop.items["8"].brand) == ("20", "toys.car", None)
    assert shop.events[0].time == datetime(2019, 10, 1, 0, 0, 1, tzinfo=UTC)


def test_retail_rocket_is_read_in_its_owners_format(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n1433224214164,992329,transaction,248676,4000\n"
    )
    shop = clickstreams.retail_rocket(tmp_path, 0.5, 7)
    assert [(event.user_id, event.item_id, event.action) for event in shop.events] == [
        ("257597", "355908", "view"), ("992329", "248676", "purchase"),
    ]  # fmt: skip
    assert shop.events[0].time == datetime.fromtimestamp(1433221332.117, UTC)
    assert sorted(map(shop.asked, ("257597", "992329"))) == [False, True]  # half of the visitors make lists


def test_repeats_know_a_users_baskets_so_far() -> None:
    repeats, milk = Repeats(), Candidate("milk", 1.0, 0.0, 0.0, 0.5, 3, 9.0)
    stranger = repeats.of("ann", milk, 0.0)
    assert (stranger.repeat_times, stranger.repeat_since) == (0.0, NEVER)
    assert (stranger.repeat_known, stranger.repeat_near, stranger.repeat_lately) == (0.0, 0.0, 0.0)
    for number, basket in enumerate(({"milk"}, {"tea"}, {"milk", "tea"}, {"tea"})):
        repeats.add("ann", frozenset(basket), number * HALF)
    known = repeats.of("ann", milk, 4 * HALF)
    assert (known.repeat_times, known.repeat_share, known.repeat_since, known.repeat_due) == (2.0, 0.5, 2.0, 1.0)
    assert (known.repeat_known, known.repeat_near, known.repeat_lately) == (1.0, 1.0, 0.25)
    assert repeats.of("ann", replace(milk, item_id="tea"), 4 * HALF).repeat_near == 1.0
    assert (known.price, known.log_odds, known.sold) == (1.0, 0.5, 3)
    assert repeats.of("bob", milk, 0.0).repeat_times == 0.0
    assert repeats.products("ann") == {"milk": 2, "tea": 3}
